/** A part of the page that is shown at one address. */
export interface View {
  readonly element: HTMLElement;
  /** Brings it in line with what is known now. */
  update(): void;
  /** It is not shown any more: cameras are closed. */
  leave?(): void;
}
