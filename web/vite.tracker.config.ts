import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** The tracker is one file of its own, for any page: no modules, no hash in its name. */
export default defineConfig({
  publicDir: false,
  build: {
    target: 'es2022',
    emptyOutDir: false,
    lib: {
      entry: resolve(import.meta.dirname, 'src/tracker/index.ts'),
      formats: ['iife'],
      name: 'sluiceTracker',
      fileName: () => 'tracker.js',
    },
  },
});
