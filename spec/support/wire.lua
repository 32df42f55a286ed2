--- What the specs about requests on the wire share: connections that are
-- new, what trace was told, how an error must look.

local assert = require "luassert"
local helpers = require "spec.support.helpers"

local wire = {}

--- Starts over with the test server `s`, and leaves no kept connection to its
-- listener `name` ("http"; "https1"): libcurl answers a reset on a kept one by
-- asking again on a new one by itself, which is not what a spec means that
-- counts. The next request opens a connection of its own.
function wire.reset(s, name)
  s:reset()
  local client <close> = helpers.client(s,
    { base_url = s[name or "http"] .. "/v2", retries = 0 })
  s:fault { fault = "close_after" }
  repeat
    assert(client:account())
    local all = s:requests()
  until all[#all].connection_requests == 1
  s:reset()
end

--- How many connections the server saw for these requests.
function wire.connections(requests)
  local seen, count = {}, 0
  for _, one in ipairs(requests) do
    if not seen[one.connection] then count = count + 1 end
    seen[one.connection] = true
  end
  return count
end

--- A trace function, and the array that its records go to.
function wire.tracer()
  local records = {}
  return function(record) records[#records + 1] = record end, records
end

--- The records of one event.
function wire.events(records, event)
  local some = {}
  for _, record in ipairs(records) do
    if record.event == event then some[#some + 1] = record end
  end
  return some
end

--- Checks the results of a call that must have failed: nil and an error with
-- the fields of `want` (`false`: it must be absent or false; an array: one of
-- these). Returns the error.
function wire.failed(want, result, err)
  assert.is_nil(result)
  assert.equal("table", type(err))
  for name, value in pairs(want) do
    local message = ("%s of: %s"):format(name, tostring(err))
    if value == false then
      assert.falsy(err[name], message)
    else
      assert.equal(helpers.one_of(value, err[name]), err[name], message)
    end
  end
  return err
end

--- Whoever waits at the server's silent port: what each has sent, in order.
-- The connections are closed.
function wire.heard(s)
  local heard = {}
  s.held_silent:settimeout(0)
  for one in s.held_silent.accept, s.held_silent do
    one:settimeout(5)
    local all, _, part = one:receive "*a"
    heard[#heard + 1] = all or part
    one:close()
  end
  return heard
end

return wire
