/** A number that moves gently to its new value, and ends exactly on it. */

import { between, compare, toText, type Decimal } from '../model/decimal';
import { wantsMotion } from './dom';

const MOVE_MS = 500;

export class AnimatedNumber {
  private shown: Decimal | undefined;
  private from: Decimal | undefined;
  private to: Decimal | undefined;
  private startedMs = 0;
  private frame = 0;

  constructor(
    private readonly element: HTMLElement,
    private readonly write: (value: Decimal) => void,
  ) {}

  set(value: Decimal): void {
    if (this.to !== undefined && compare(this.to, value) === 0) return;
    this.to = value;
    this.element.dataset['value'] = toText(value);
    if (this.shown === undefined || !wantsMotion() || document.hidden) {
      this.show(value);
      return;
    }
    this.from = this.shown;
    this.startedMs = performance.now();
    if (this.frame === 0) this.frame = requestAnimationFrame((now) => this.step(now));
  }

  /** Forgets the number: the next one does not move from it. */
  clear(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.shown = this.from = this.to = undefined;
    delete this.element.dataset['value'];
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
  }

  private step(nowMs: number): void {
    this.frame = 0;
    if (this.from === undefined || this.to === undefined) return;
    const time = Math.min(1, Math.max(0, (nowMs - this.startedMs) / MOVE_MS));
    // Fast at first, so that the eye sees at once that something came.
    this.show(between(this.from, this.to, 1 - (1 - time) ** 3));
    if (time < 1) this.frame = requestAnimationFrame((now) => this.step(now));
  }

  private show(value: Decimal): void {
    this.shown = value;
    this.write(value);
  }
}
