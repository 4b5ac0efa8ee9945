/** Where in an image the model's input comes from: evaluation resizes and cuts, and maps are drawn over the whole image. */
import type { Draw } from "deit-ts/data";

/** In pixels of the image, fractions allowed; it may leave the image where the input was padded. */
export interface CropBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The region that a draw of resizes and crops shows. @throws RangeError for other operations */
export function cropBox(draw: Draw, image: { readonly width: number; readonly height: number }): CropBox {
  let seen: CropBox = { left: 0, top: 0, width: image.width, height: image.height };
  let size: { readonly width: number; readonly height: number } = image;
  const cut = ({ left, top, width, height }: CropBox): void => {
    const [across, down] = [seen.width / size.width, seen.height / size.height];
    seen = {
      left: seen.left + left * across,
      top: seen.top + top * down,
      width: width * across,
      height: height * down,
    };
    size = { width, height };
  };
  for (const operation of draw) {
    if (operation.op === "crop") cut(operation.region);
    else if (operation.op === "resize") {
      if (operation.region) cut(operation.region);
      size = { width: operation.size[1], height: operation.size[0] };
      if (operation.window) cut(operation.window);
    } else throw new RangeError(`an image after ${operation.op} has no region of its own`);
  }
  return seen;
}
