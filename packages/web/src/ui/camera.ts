/** A camera of the device, in a video element; the device can be chosen. */
import { TEXT } from "../texts.ts";
import { fill, h } from "./dom.ts";

export interface Camera {
  readonly element: HTMLElement;
  readonly video: HTMLVideoElement;
  /** @throws Error when the person or the browser refuses */
  open(): Promise<void>;
  close(): void;
  readonly isOpen: boolean;
  /** The image now. */
  frame(): Promise<ImageBitmap>;
}

export function createCamera(): Camera {
  const video = h("video", { muted: true, playsInline: true, autoplay: true, "aria-label": TEXT.try.which });
  const choice = h("select", { "aria-label": TEXT.try.which, onChange: () => void open(choice.value) });
  const element = h("div", { class: "camera", hidden: true }, video, choice);
  let stream: MediaStream | undefined;

  async function open(deviceId?: string): Promise<void> {
    close();
    try {
      const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
      stream = await navigator.mediaDevices.getUserMedia({
        video: { ...wanted, width: { ideal: 640 } },
        audio: false,
      });
    } catch {
      throw new Error(TEXT.try.cameraRefused);
    }
    video.srcObject = stream;
    element.hidden = false;
    await video.play();
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(
      ({ kind }) => kind === "videoinput",
    );
    const current = stream.getVideoTracks()[0]?.getSettings().deviceId;
    fill(
      choice,
      ...devices.map((device, i) =>
        h(
          "option",
          { value: device.deviceId, selected: device.deviceId === current },
          device.label || `${TEXT.try.which} ${i + 1}`,
        ),
      ),
    );
    choice.hidden = devices.length < 2;
  }

  function close(): void {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    video.srcObject = null;
    element.hidden = true;
  }

  return {
    element,
    video,
    open: async () => open(),
    close,
    get isOpen() {
      return stream !== undefined;
    },
    frame: async () => createImageBitmap(video),
  };
}
