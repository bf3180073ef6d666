/** The server's API. Every failure is a `Refusal`, which the server said, or `Unreachable`, where nobody answered. */

import { Silence, endWhenStill } from "./silence.js";

/** For an answer that takes no time: whether the server lives. */
const ALIVE_MS = 5000;

/** What the server answered instead of what was asked for. */
export class Refusal extends Error {
  constructor({ status, error, detail, retryAfterS = null }) {
    super(detail);
    this.status = status;
    this.code = error;
    this.retryAfterS = retryAfterS;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

/** Jobs of this page that the server has, by name. */
const held = new Set();

/** List models, formats and limits. */
export async function listModels() {
  return (await ask("v1/models")).json();
}

/** Say whether the server answers at all. */
export async function isAlive() {
  try {
    return (await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(ALIVE_MS) })).ok;
  } catch {
    return false;
  }
}

/** Leave a picture as a job; `key` makes a repeated post harmless. */
export async function submit(file, options, { key, onUpload, signal }) {
  const body = await upload(`v1/jobs?${query(options)}`, file, { key, onUpload, signal, type: "json" });
  held.add(body.response.id);
  return body.response;
}

/** Follow a job until it is done; return it as it is then. One that ends in another way is a `Refusal`. */
export async function follow(jobId, onChange = () => {}, signal = undefined) {
  for (;;) {
    for await (const job of events(received(`v1/jobs/${jobId}/events`, { signal }))) {
      onChange(job);
      if (job.state === "done") return job;
      if (!["queued", "running"].includes(job.state)) throw new Refusal({ status: 422, error: job.error ?? "internal", detail: job.detail ?? job.state });
    }
    // The stream ended before the job: the server is stopping, or a proxy cut it.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Fetch a finished job's picture. */
export async function fetchResult(jobId, signal) {
  let headers = null;
  const pieces = [];
  for await (const piece of received(`v1/jobs/${jobId}/result`, { signal, onHead: (response) => (headers = response.headers) })) pieces.push(piece);
  return picture(new Blob(pieces, { type: headers.get("Content-Type") ?? "" }), headers.get("Content-Disposition"));
}

/** Say which part of a job's picture is seen, `x,y,width,height`, or null for all: finished tiles come then. */
export async function look(jobId, box) {
  await ask(`v1/jobs/${jobId}/view?${query({ box })}`, { method: "PUT" });
}

/** Fetch a finished tile, by its address in the job. */
export async function fetchTile(url) {
  return whole(await ask(url.replace(/^\//, "")));
}

/** Fetch the record of a finished job's result, made now if it was not asked for before. */
export async function fetchReport(jobId, format) {
  return whole(await ask(`v1/jobs/${jobId}/report?${query({ format })}`));
}

/** Fetch the map of guesses of a finished job's result. */
export async function fetchMap(jobId) {
  return whole(await ask(`v1/jobs/${jobId}/map`));
}

/** Ask what is wrong with a picture, and whether sharpening helps. */
export async function inspect(file) {
  return (await ask("v1/inspect", { method: "POST", body: file })).json();
}

/** Cancel a job, or remove its result from the server, even while the page goes. */
export async function forget(jobId) {
  await ask(`v1/jobs/${jobId}`, { method: "DELETE", keepalive: true });
  held.delete(jobId);
}

/** Have the server forget every job of this page, those that it works on, too. */
export function forgetAll() {
  for (const jobId of held) forget(jobId).catch(() => {}); // else it forgets them in a day
}

/** Sharpen a picture and wait for it: `{blob, name, lost, found}`. */
export async function sharpen(file, options, { onUpload, signal } = {}) {
  const { response, header } = await upload(`v1/sharpen?${query(options)}`, file, { onUpload, signal, type: "blob" });
  const [lost, found] = ["Acutance-Lost", "Acutance-Found"].map((name) => header(name)?.split(",").map(decodeURIComponent) ?? []);
  return { ...picture(response, header("Content-Disposition")), lost, found };
}

function query(options) {
  const given = Object.entries(options).filter(([, value]) => value != null);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
}

async function ask(path, init = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...init });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(String(error));
  }
  if (!response.ok) throw refusal(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
  return response;
}

/** Give what comes of what the server answers at once, piece by piece; `onHead` is called with the response. */
async function* received(path, { signal, onHead = () => {} }) {
  const silence = new Silence(signal);
  try {
    const response = await ask(path, { signal: silence.signal });
    onHead(response);
    const reader = response.body.getReader();
    for (;;) {
      silence.heard();
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (error instanceof Refusal || (error.name === "AbortError" && !silence.isTooLong)) throw error;
    throw new Unreachable(String(error));
  } finally {
    silence.end();
  }
}

async function whole(response) {
  try {
    return await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(String(error));
  }
}

/** Post a file. By XMLHttpRequest: fetch cannot tell how much is sent. */
function upload(path, file, { key, onUpload, signal, type }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let isSent = false;
    let isStill = false;
    // A job that was sent is the server's: its name must be known for it to be forgotten.
    const stop = () => !(isSent && type === "json") && request.abort();
    request.upload.onload = () => (isSent = true);
    request.open("POST", path);
    request.responseType = "blob"; // a refusal is JSON whatever was asked for
    if (key) request.setRequestHeader("Idempotency-Key", key);
    if (onUpload) request.upload.onprogress = (event) => onUpload(event.total ? event.loaded / event.total : 0);
    request.onload = async () => {
      if (request.status >= 400) {
        reject(refusal(request.status, await request.response.text(), request.getResponseHeader("Retry-After")));
      } else {
        const response = type === "json" ? JSON.parse(await request.response.text()) : request.response;
        resolve({ response, header: (name) => request.getResponseHeader(name) });
      }
    };
    request.onerror = () => reject(new Unreachable("no answer"));
    request.onabort = () => reject(isStill ? new Unreachable("no progress") : new DOMException("aborted", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) {
      reject(new DOMException("aborted", "AbortError"));
      return;
    }
    signal?.addEventListener("abort", stop);
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
    endWhenStill(request, () => (isStill = true));
  });
}

function refusal(status, body, retryAfter) {
  let said = {};
  try {
    said = JSON.parse(body);
  } catch {
    // a proxy's page, perhaps
  }
  return new Refusal({
    status,
    error: said.error ?? "internal",
    detail: said.detail ?? `HTTP ${status}`,
    retryAfterS: Number(retryAfter) > 0 ? Number(retryAfter) : null,
  });
}

function picture(blob, disposition) {
  const named = /filename\*=UTF-8''([^;]+)/.exec(disposition ?? "");
  return { blob, name: named ? decodeURIComponent(named[1]) : "photo.sharp" };
}

/** Give the jobs in a stream of server-sent events, which comes in pieces. */
async function* events(pieces) {
  const decoder = new TextDecoder();
  let gathered = "";
  for await (const piece of pieces) {
    gathered += decoder.decode(piece, { stream: true });
    const blocks = gathered.split("\n\n");
    gathered = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data: "));
      if (data.length) yield JSON.parse(data.map((line) => line.slice(6)).join("\n"));
    }
  }
}
