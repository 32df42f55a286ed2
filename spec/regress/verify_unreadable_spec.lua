--- A file whose size could not be read (gone meanwhile, or the disk's trouble)
-- was called damaged, and set aside where that was wanted.

local lfs = require "lfs"
local mirrors = require "spec.support.mirrors"

describe("verify", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  it("calls what it cannot examine failed, and leaves it", function()
    mirrors.put(dir, { version = "v1" })
    local gone = mirrors.put(dir, { version = "v2", at = mirrors.AT + 1 })
    local odd = mirrors.put(dir, { version = "v3", at = mirrors.AT + 2 })
    local results = assert(m:verify { set_aside = true,
      progress = function(entry)
        if entry.version_id ~= "v1" then return end
        assert(os.remove(gone .. ".zip"))
        assert(os.remove(odd .. ".zip"))
        assert(lfs.mkdir(odd .. ".zip"))
      end })
    assert.same({ "ok", "failed", "failed" }, mirrors.statuses(results))
    assert.same({ "filesystem", "cannot read " .. gone
      .. ".zip: No such file or directory" },
      { results[2].err.kind, results[2].err.message })
    assert.same({ "filesystem", "cannot read " .. odd
      .. ".zip: it is not a regular file" },
      { results[3].err.kind, results[3].err.message })
    assert.is_nil(results[3].set_aside)
    assert.is_string(lfs.attributes(gone .. ".json", "mode"))
    assert.is_string(lfs.attributes(odd .. ".json", "mode"))
  end)
end)
