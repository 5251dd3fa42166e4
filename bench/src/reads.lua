-- For wrk: every request reads what can be sold of one item.
local host = os.getenv("BENCH_HOST")
local api_key = os.getenv("BENCH_API_KEY")
local items = tonumber(os.getenv("BENCH_ITEMS"))
local sku = os.getenv("BENCH_SKU")

local tail = " HTTP/1.1\r\nHost: " .. host .. "\r\nAuthorization: Bearer " .. api_key .. "\r\n\r\n"

function init()
  math.randomseed(os.time())
end

function request()
  return "GET /v1/availability/" .. (items and ("SKU-" .. math.random(1, items)) or sku) .. tail
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
