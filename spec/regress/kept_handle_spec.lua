--- libcurl's handles are kept from one exchange to the next, and so was the
-- number of the last system error: behind a connection that was reset, a
-- server without TLS was a `network` failure, and tried again.

local socket = require "socket"
local square = require "squarecloud"
local downloads = require "spec.support.downloads"

describe("behind a reset connection", function()
  it("a server without TLS fails as it does at first", function()
    local function client_of(scheme)
      local listener = assert(socket.bind("127.0.0.1", 0))
      listener:settimeout(0)
      local _, port = listener:getsockname()
      return square.Client { api_key = "k", proxy = "", retries = 0,
        base_url = ("%s://127.0.0.1:%d/v2"):format(scheme, port) }, listener
    end
    local function kind_of(client, listener, serve)
      local task = client:spawn(client.account, client)
      local one = downloads.wait(function()
        client:step(0.005)
        return listener:accept()
      end, "a connection")
      one:settimeout(5)
      serve(one)
      one:close()
      local _, err = task:wait(20)
      listener:close()
      return err.kind
    end
    local plain <close>, plain_listener = client_of "http"
    local tls <close>, tls_listener = client_of "https"
    assert.equal("network", kind_of(plain, plain_listener, function(one)
      one:receive "*l"
      one:setoption("linger", { on = true, timeout = 0 })
    end))
    assert.equal("tls", kind_of(tls, tls_listener, function(one)
      one:receive(5)
      one:send "HTTP/1.1 400 Bad Request\r\n\r\n"
      one:settimeout(0.1)
      one:receive(100000)
    end))
  end)
end)
