/** A picture that the page draws itself, for who has none at hand: a bird-like shape before a sky. */
export async function drawing(): Promise<Blob> {
  const side = 320;
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas");
  const sky = context.createLinearGradient(0, 0, 0, side);
  sky.addColorStop(0, "#8fb9e0");
  sky.addColorStop(1, "#dfeaf2");
  context.fillStyle = sky;
  context.fillRect(0, 0, side, side);
  context.fillStyle = "#6b8f4e";
  context.fillRect(0, 250, side, 70);
  const oval = (x: number, y: number, w: number, h: number, turn: number, colour: string): void => {
    context.fillStyle = colour;
    context.beginPath();
    context.ellipse(x, y, w, h, turn, 0, 2 * Math.PI);
    context.fill();
  };
  oval(165, 180, 80, 48, -0.25, "#8a5a3b");
  oval(232, 128, 32, 29, 0, "#9a6845");
  oval(148, 182, 52, 26, -0.35, "#5d3c28");
  oval(242, 122, 5, 5, 0, "#111111");
  context.fillStyle = "#e0a030";
  context.beginPath();
  context.moveTo(262, 122);
  context.lineTo(296, 132);
  context.lineTo(261, 138);
  context.fill();
  context.fillStyle = "#5d3c28";
  context.beginPath();
  context.moveTo(95, 190);
  context.lineTo(28, 236);
  context.lineTo(112, 216);
  context.fill();
  context.strokeStyle = "#c08030";
  context.lineWidth = 5;
  for (const x of [155, 182]) {
    context.beginPath();
    context.moveTo(x, 222);
    context.lineTo(x - 4, 268);
    context.stroke();
  }
  return canvas.convertToBlob({ type: "image/png" });
}
