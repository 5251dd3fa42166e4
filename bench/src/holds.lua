-- For wrk: every request places a hold of one unit under an Idempotency-Key of its own. The request is written out whole,
-- because wrk shares the processors with what it measures.
local host = os.getenv("BENCH_HOST")
local api_key = os.getenv("BENCH_API_KEY")
local location = os.getenv("BENCH_LOCATION")
local key = os.getenv("BENCH_KEY")
local items = tonumber(os.getenv("BENCH_ITEMS"))
local sku = os.getenv("BENCH_SKU")

local head = "POST /v1/holds HTTP/1.1\r\nHost: " .. host .. "\r\nAuthorization: Bearer " .. api_key ..
  "\r\nContent-Type: application/json\r\nIdempotency-Key: " .. key .. "-"
local counter = 0

function init()
  math.randomseed(os.time())
end

function request()
  counter = counter + 1
  local wanted = items and ("SKU-" .. math.random(1, items)) or sku
  local body = '{"lines":[{"sku":"' .. wanted .. '","quantity":1,"location":"' .. location .. '"}],"ttl_seconds":3600}'
  return head .. counter .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
