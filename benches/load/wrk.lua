-- A load for wrk that ends with one line of figures, read by `cargo xtask bench`. Also for your own runs:
--
--   wrk -t 1 -c 64 -d 10s -s benches/load/wrk.lua http://127.0.0.1:8080/p/1k [-- METHOD [BODY_BYTES]]
--
-- It has no `request` and no `response` function: wrk then sends one prepared text and stays as cheap as without a script.

function init(args)
  local bytes = tonumber(args[2] or "0")
  wrk.method = args[1] or "GET"
  if bytes > 0 then
    wrk.headers["Content-Type"] = "application/octet-stream"
    wrk.body = string.rep("x", bytes)
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  -- `status` counts answers of 400 and more.
  io.write(string.format(
    "floodgate-load requests=%d seconds=%.3f failed=%d refused=%d p50_us=%.0f p99_us=%.0f\n",
    summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.timeout,
    errors.status, latency:percentile(50), latency:percentile(99)))
end
