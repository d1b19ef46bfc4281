/** Keeps an exploration as a panel, and shows its file. */

import { h } from '../ui/dom';
import { savePanel } from './api';
import type { WorkContext } from './context';
import { panelFile, savedPanel, type Exploration, type PanelWords } from './exploration';
import { roleText } from './failure';
import { field } from './fields';

/** Outlives a page that is built again in another language. */
const words: PanelWords = { name: '', en: '', zh: '', subject: 'own', replace: false };

export interface Saving {
  readonly element: HTMLElement;
  draw(): void;
}

export function saving({ texts }: WorkContext, exploration: () => Exploration): Saving {
  const file = h('pre', { class: 'panel-file', tabindex: 0, role: 'group', 'aria-label': texts.asPanel });
  const input = (id: string, key: 'name' | 'en' | 'zh' | 'subject', pattern?: string) => {
    const control = h('input', { type: 'text', id, value: words[key], required: key !== 'zh', maxlength: 64, pattern, size: 16 });
    control.addEventListener('input', () => (words[key] = control.value));
    return control;
  };
  const replace = h('input', { type: 'checkbox', id: 'save-replace', checked: words.replace });
  replace.addEventListener('change', () => (words.replace = replace.checked));
  const save = h('button', { type: 'submit', class: 'primary' }, texts.savePanel);
  const said = h('p', { class: 'panel-note', role: 'status' });
  const form = h(
    'form',
    { class: 'panel-controls', 'aria-label': texts.savePanel },
    field(texts.saveName, input('save-name', 'name', '[a-z][a-z0-9_]*')),
    field(texts.saveTitle.en, input('save-en', 'en')),
    field(texts.saveTitle.zh, input('save-zh', 'zh')),
    field(texts.subjectLabel, input('save-subject', 'subject', '[A-Za-z0-9_]+')),
    field(texts.saveReplace, replace),
    save,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void keep();
  });

  async function keep(): Promise<void> {
    save.disabled = true;
    said.replaceChildren(texts.loading);
    try {
      await savePanel(savedPanel(exploration(), words));
      said.replaceChildren(texts.saved, ' ', h('a', { href: `#/panels/${words.subject}` }, words.en));
    } catch (error) {
      said.replaceChildren(texts.notSaved(roleText(texts, error) ?? (error as Error).message));
    } finally {
      save.disabled = false;
    }
  }

  return {
    element: h('section', { class: 'panel', 'aria-labelledby': 'heading-file' }, h('h2', { id: 'heading-file' }, texts.asPanel), form, said, file),
    draw: () => {
      file.textContent = panelFile(exploration());
    },
  };
}
