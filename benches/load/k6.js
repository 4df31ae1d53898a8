// A load for k6 that ends with one line of figures, read by `cargo xtask bench --tool k6`. Also for your own runs:
//
//   k6 run -e URL=http://127.0.0.1:8080/p/1k -e CONNECTIONS=64 -e SECONDS=10 benches/load/k6.js
//
// METHOD and UPLOAD_BYTES make it an upload. Each virtual user has one connection and keeps it, as with wrk; a request
// costs k6 more than it costs any gateway, so look at CPU time a request and not at requests a second.
import http from "k6/http";
import { Counter } from "k6/metrics";

const failed = new Counter("floodgate_failed");
const refused = new Counter("floodgate_refused");
const url = __ENV.URL;
const method = __ENV.METHOD || "GET";
const bytes = Number(__ENV.UPLOAD_BYTES || 0);
const body = bytes > 0 ? "x".repeat(bytes) : null;
const parameters = bytes > 0 ? { headers: { "Content-Type": "application/octet-stream" } } : {};

export const options = {
  vus: Number(__ENV.CONNECTIONS || 64),
  duration: `${__ENV.SECONDS || 10}s`,
  discardResponseBodies: true,
  insecureSkipTLSVerify: true,
  summaryTrendStats: ["p(50)", "p(99)"],
};

export default function () {
  const status = http.request(method, url, body, parameters).status;
  if (status === 0) {
    failed.add(1);
  } else if (status >= 400) {
    refused.add(1);
  }
}

export function handleSummary(data) {
  const of = (metric, value) => (data.metrics[metric] ? data.metrics[metric].values[value] : 0);
  const us = (value) => Math.round(of("http_req_duration", value) * 1000);
  const line = [
    `requests=${of("http_reqs", "count")}`,
    `seconds=${(data.state.testRunDurationMs / 1000).toFixed(3)}`,
    `failed=${of("floodgate_failed", "count")}`,
    `refused=${of("floodgate_refused", "count")}`,
    `p50_us=${us("p(50)")}`,
    `p99_us=${us("p(99)")}`,
  ];
  return { stdout: `floodgate-load ${line.join(" ")}\n` };
}
