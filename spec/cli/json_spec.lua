-- JSON as the command writes it: what a program relies on.

local cjson = require("cjson").new()
local json = require "squarecloud.cli.json"

describe("the command's JSON", function()
  local rows = {
    { "an integer", 12900705, "12900705" },
    { "a float that is whole", 12900705.0, "12900705" },
    { "what a double cannot hold", 9007199254740993, "9007199254740993" },
    { "the largest integer", math.maxinteger, "9223372036854775807" },
    { "the smallest integer", math.mininteger, "-9223372036854775808" },
    { "a fraction", 1719469422.326, "1719469422.326" },
    { "a fraction that needs all digits", 0.1 + 0.2, "0.30000000000000004" },
    { "what is no number", 0 / 0, "null" },
    { "what is infinite", -math.huge, "null" },
    { "true", true, "true" },
    { "nothing", nil, "null" },
    { "an empty list", json.array(), "[]" },
    { "an empty object", {}, "{}" },
    { "a list", { 1, "a", { 2 } }, '[1,"a",[2]]' },
    { "an object, its names sorted", { b = 1, a = { c = false } },
      '{"a":{"c":false},"b":1}' },
    { "quotes and control characters", 'a"\\\n\t\0\27\127',
      '"a\\"\\\\\\n\\t\\u0000\\u001b\\u007f"' },
    { "UTF-8", "maçã 🍎", '"maçã 🍎"' },
    { "bytes that are no UTF-8", "a\xff\xfeb\xc3",
      '"a\u{FFFD}\u{FFFD}b\u{FFFD}"' },
  }
  for _, row in ipairs(rows) do
    it("writes " .. row[1], function()
      assert.equal(row[3], json.encode(row[2]))
      assert.is_true(pcall(cjson.decode, "[" .. row[3] .. "]"))
    end)
  end

  it("reads JSON, and gives nil for what is none", function()
    assert.same({ a = { 1, "x" } }, json.decode '{"a":[1,"x"]}')
    for _, text in ipairs { "", "{", "nope", "[1,]" } do
      assert.is_nil(json.decode(text))
    end
  end)

  it("leaves a host's cjson as it is", function()
    local shared = require "cjson"
    local before = shared.encode_sparse_array()
    json.decode "[]"
    assert.equal(before, shared.encode_sparse_array())
  end)
end)
