// How long a redraw of 15 minutes at 60 frames a second takes in a real browser: node bench/redraw.mjs
// For ECharts beside it: npm install --no-save echarts@6.1.0
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

const web = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const scratch = mkdtempSync(join(tmpdir(), "redraw-"));
const LIMIT_MS = 180_000;

const { promise: told, resolve: tell, reject: fail } = (() => {
  let settle = {};
  const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle };
})();

const server = await createServer({
  root: web,
  configFile: false,
  logLevel: "error",
  cacheDir: join(scratch, "vite"),
  resolve: { alias: { "@": web } },
  define: { "process.env.NODE_ENV": '"production"' },
  mode: "production",
  css: { postcss: {} },
  server: { host: "127.0.0.1", port: 0, hmr: false },
  plugins: [
    {
      name: "result",
      configureServer: ({ middlewares }) => {
        middlewares.use("/result", (request, response) => {
          let body = "";
          request.on("data", (data) => (body += data));
          request.on("end", () => {
            response.end();
            tell(JSON.parse(body));
          });
        });
      },
    },
  ],
});
await server.listen();
const { port } = server.httpServer.address();
const browser = spawn(
  process.env.CHROMIUM ?? "chromium",
  ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1440,1600", `--user-data-dir=${join(scratch, "profile")}`, "--remote-debugging-port=0", `http://127.0.0.1:${port}/bench/index.html`],
  { stdio: "ignore" },
);
browser.on("error", fail);
const ended = new Promise((resolve) => browser.on("exit", resolve));
const timer = setTimeout(() => fail(new Error(`no result within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
try {
  console.log(JSON.stringify(await told, null, 2));
} finally {
  clearTimeout(timer);
  browser.kill();
  await server.close();
  await ended;
  rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
