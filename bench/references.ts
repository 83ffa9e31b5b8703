import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { GIF } from "../src/tracking/pixel.ts";
import { waitUntilAnswers } from "./server.ts";

export type Reference = { origin: string; stop(): Promise<void> };

/** nginx as a pixel server: `empty_gif`, its access log on, one worker. */
export async function startNginx(dir: string, port: number): Promise<Reference> {
  const config = path.join(dir, "nginx.conf");
  await writeFile(
    config,
    `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/nginx-error.log;
     events { worker_connections 1024; }
     http {
       access_log ${dir}/nginx-access.log combined;
       client_body_temp_path ${dir}/nginx-body; proxy_temp_path ${dir}/nginx-proxy;
       fastcgi_temp_path ${dir}/nginx-fastcgi; uwsgi_temp_path ${dir}/nginx-uwsgi; scgi_temp_path ${dir}/nginx-scgi;
       keepalive_requests 1000000000;
       server { listen 127.0.0.1:${port}; location / { empty_gif; } }
     }`,
  );
  return started(spawn("nginx", ["-c", config], { stdio: ["ignore", "ignore", "inherit"] }), port);
}

/** A `Bun.serve` that does nothing but answer with the gif. */
export async function startBareBun(dir: string, port: number): Promise<Reference> {
  const file = path.join(dir, "bare.ts");
  await writeFile(
    file,
    `const gif = Buffer.from("${GIF.toString("base64")}", "base64");
     Bun.serve({ hostname: "127.0.0.1", port: ${port},
       fetch: () => new Response(gif, { headers: { "Content-Type": "image/gif" } }) });`,
  );
  return started(spawn(process.execPath, [file], { stdio: ["ignore", "ignore", "inherit"] }), port);
}

async function started(child: ChildProcess, port: number): Promise<Reference> {
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`a reference server ended with code ${code}`)));
  });
  failed.catch(() => {});
  const origin = `http://127.0.0.1:${port}`;
  await Promise.race([waitUntilAnswers(`${origin}/pixel.gif`), failed]);
  return {
    origin,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners("exit");
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}
