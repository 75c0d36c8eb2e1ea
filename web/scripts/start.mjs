// npm start: webd on :3010, serving what `npm run build` made. BENCHLAB_WEB_BIND moves it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { die, startWebd, together, WEB } from "./python.mjs";

if (!existsSync(join(WEB, "out", "index.html"))) die("web/out is not there: run `npm run build` first");
together([startWebd(process.env.BENCHLAB_WEB_BIND ?? "127.0.0.1:3010")]);
