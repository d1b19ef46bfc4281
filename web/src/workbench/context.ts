/** What every part of the workbench is given. */

import type { WorkMessages } from '../i18n/work';
import type { Context } from '../ui/context';
import type { Writer } from './writer';

export interface WorkContext extends Context {
  readonly texts: WorkMessages;
  readonly writer: Writer;
}
