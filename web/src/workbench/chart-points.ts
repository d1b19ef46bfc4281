/** The points of a chart as buttons: what a click on the drawing does, from the keyboard and for those who do not see it. */

import { h, setText } from '../ui/dom';

/** One stop of the keyboard; arrows go from point to point. A point shows while it has the focus. */
export class ChartPoints {
  readonly element = h('ul', { class: 'chart-points' });
  private readonly buttons: HTMLButtonElement[] = [];
  private current = 0;

  constructor(
    private readonly open: (point: number) => void,
    private readonly show: (point: number | undefined) => void,
  ) {
    this.element.addEventListener('keydown', (event) => this.pressed(event));
    this.element.addEventListener('focusout', () => this.show(undefined));
  }

  /** Buttons stay where they are, so that new numbers do not take the focus away. */
  draw(label: string, texts: readonly string[]): void {
    this.element.setAttribute('aria-label', label);
    while (this.buttons.length > texts.length) this.buttons.pop()?.parentElement?.remove();
    while (this.buttons.length < texts.length) this.add(this.buttons.length);
    texts.forEach((text, place) => setText(this.buttons[place]!, text));
    this.stopAt(Math.min(this.current, Math.max(0, texts.length - 1)));
  }

  private add(place: number): void {
    const button = h('button', { type: 'button', class: 'plain', tabindex: -1 });
    button.addEventListener('click', () => this.open(place));
    button.addEventListener('focus', () => {
      this.stopAt(place);
      this.show(place);
    });
    this.buttons.push(button);
    this.element.append(h('li', {}, button));
  }

  private stopAt(place: number): void {
    this.current = place;
    this.buttons.forEach((button, other) => (button.tabIndex = other === place ? 0 : -1));
  }

  private pressed(event: KeyboardEvent): void {
    const last = this.buttons.length - 1;
    const to = { ArrowRight: this.current + 1, ArrowDown: this.current + 1, ArrowLeft: this.current - 1, ArrowUp: this.current - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.buttons[Math.max(0, Math.min(to, last))]?.focus();
  }
}
