import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** Where a running warehouse answers while the page is being developed. */
const warehouse = process.env['SLUICE_URL'] ?? 'http://127.0.0.1:8080';
const proxied = Object.fromEntries(
  ['/api', '/collect', '/docs', '/healthz', '/readyz', '/metrics'].map((path) => [path, { target: warehouse }]),
);

export default defineConfig({
  appType: 'mpa',
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: {
        index: resolve(import.meta.dirname, 'index.html'),
        shop: resolve(import.meta.dirname, 'shop.html'),
      },
    },
  },
  server: { proxy: proxied },
  preview: { proxy: proxied },
  test: { include: ['test/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
