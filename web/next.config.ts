import type { NextConfig } from "next";
import { PHASE_DEVELOPMENT_SERVER } from "next/constants";

const base: NextConfig = {
  trailingSlash: true,
  images: { unoptimized: true },
  poweredByHeader: false,
  reactStrictMode: true,
};

/** While developing, what webd answers comes from scripts/dev.mjs's webd; uncompressed, so that events pass at once. */
const development: NextConfig = {
  ...base,
  compress: false,
  skipTrailingSlashRedirect: true,
  rewrites: async () => {
    const api = process.env.BENCHLAB_API ?? "http://127.0.0.1:3011";
    const paths = ["/api/:path*", "/openapi.json", "/healthz"];
    return { beforeFiles: paths.map((source) => ({ source, destination: `${api}${source}` })), afterFiles: [], fallback: [] };
  },
};

export default (phase: string): NextConfig => (phase === PHASE_DEVELOPMENT_SERVER ? development : { ...base, output: "export" });
