// Draws a plane of the images of a volume on a canvas, the full resolution over the overview.

import { toScreen } from "../logic/planes.js";
import { box, fillSlice, meets } from "../logic/slices.js";

/** A slice of one image as a small canvas, made anew when its place or the window changes. */
class Layer {
  #canvas = document.createElement("canvas");
  #key = [];

  of(image, plane, mm, window) {
    const key = [image, mm, ...window];
    if (key.some((value, index) => value !== this.#key[index])) {
      this.#key = key;
      this.#fill(image, plane, mm, window);
    }
    return this.#canvas;
  }

  #fill(image, plane, mm, window) {
    this.#canvas.width = image.dims[plane.across];
    this.#canvas.height = image.dims[plane.up];
    const context = this.#canvas.getContext("2d");
    const pixels = context.createImageData(this.#canvas.width, this.#canvas.height);
    fillSlice(image, plane, mm, window, pixels.data);
    context.putImageData(pixels, 0, 0);
  }
}

export class Picture {
  #layers = [new Layer(), new Layer()];

  constructor(canvas, plane) {
    this.canvas = canvas;
    this.plane = plane;
  }

  /**
   * Draw.
   * @param images from the coarsest on; null for those that there are not
   * @param view {centre, cursor, scale} in mm and pixels per mm
   * @param size [width, height] in CSS pixels
   */
  draw(images, view, size, window) {
    const ratio = devicePixelRatio || 1;
    const context = this.canvas.getContext("2d");
    this.#resize(size, ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const depth = view.cursor[this.plane.normal];
    images.forEach((image, index) => {
      if (image && meets(image, this.plane.normal, depth)) {
        const layer = this.#layers[index].of(image, this.plane, depth, window);
        this.#place(context, image, view, size, ratio);
        context.drawImage(layer, 0, 0);
      }
    });
  }

  #resize([width, height], ratio) {
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixels[0] || this.canvas.height !== pixels[1]) {
      [this.canvas.width, this.canvas.height] = pixels;
    }
  }

  /** Pixel (0, 0) of a slice is its voxel with the least mm, which is drawn on the right and below. */
  #place(context, image, view, size, ratio) {
    const { plane } = this;
    const [x, y] = toScreen(plane, view, size, box(image).low);
    const across = image.spacing[plane.across] * view.scale * ratio;
    const up = image.spacing[plane.up] * view.scale * ratio;
    context.setTransform(-across, 0, 0, -up, x * ratio, y * ratio);
    context.imageSmoothingEnabled = true;
  }
}
