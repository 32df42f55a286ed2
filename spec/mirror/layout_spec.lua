--- The names in a mirror: safe whatever an id or a version is, short, apart
-- from each other, and to be read back.

local layout = require "squarecloud.mirror.layout"

local AT = 1719469422 -- 2024-06-27T06:23:42Z

describe("the names in a mirror", function()
  local ROWS = {
    { "1d2cdc0d6ebd435c91315c6329d12eab", "45ec0b49-9af6-445e" },
    { "5b1e0f2a_postgres", "abc_DEF-123" },
    { "a b/../c", "x" }, { ".hidden", ".v" }, { "ação", "日本" },
    { "%41", "100%" }, { "a", nil }, { "a_20240101T000000Z_b", "v" },
    { ("x"):rep(100), ("y"):rep(110) }, { "CON", "a:b*c?" },
  }
  for i, row in ipairs(ROWS) do
    it(("are plain, and tell what they stand for, #%d"):format(i), function()
      local stem = layout.stem(row[1], AT + 0.326, row[2])
      local folder = layout.folder("app", row[1])
      assert.truthy(stem:find "^[%w%%~_-][%w%%~._-]*$")
      assert.truthy(folder:find "^app/[%w%%~_-][%w%%~._-]*$")
      assert.equal(row[1], layout.id_of(folder:sub(5)))
      if not row[1]:find "%dZ_" then
        assert.same({ row[1], "2024-06-27T06:23:42Z", row[2] },
          { layout.parse(stem) })
      end
    end)
  end

  it("stay short, and apart, whatever the ids", function()
    local seen = {}
    for i = 1, 50 do
      local long = ("é"):rep(5000) .. i
      for _, stem in ipairs { layout.stem(long, AT, "v"),
        layout.stem("a", AT, long), layout.stem(long, AT, long) } do
        assert.is_true(#stem <= 237)
        assert.is_nil(seen[stem])
        seen[stem] = true
      end
      assert.is_true(#layout.folder("database", long) <= 120)
      assert.is_nil(layout.id_of(layout.folder("app", long):sub(5)))
    end
  end)

  it("tell nothing of what is not named so", function()
    for _, stem in ipairs { "", "a1", "a1_20241301T000000Z_v", "backup",
      "a1_20240627T062342Zv", "a1_2024-06-27" } do
      assert.is_nil(layout.parse(stem))
    end
  end)
end)
