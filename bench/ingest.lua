-- wrk: each signed request once, in the order of the file. One thread, so that nothing is sent twice by accident.
local requests, n = {}, 0
for line in io.lines(os.getenv("BENCH_REQUESTS")) do requests[#requests + 1] = line end
local body = io.open(os.getenv("BENCH_BODY")):read("*a")

request = function()
  n = n + 1
  local id, time, signature = requests[(n - 1) % #requests + 1]:match("^(%S+) (%S+) (%S+)$")
  return "POST " .. wrk.path .. " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nwebhook-id: " .. id ..
    "\r\nwebhook-timestamp: " .. time .. "\r\nwebhook-signature: " .. signature ..
    "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

done = function(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('\n{"requests":%d,"seconds":%f,"failed":%d,"p50Ms":%f,"p99Ms":%f,"offered":%d}\n', summary.requests,
    summary.duration / 1e6, failed, latency:percentile(50) / 1000, latency:percentile(99) / 1000, #requests))
end
