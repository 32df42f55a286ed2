-- What the retention specs share: making lists of snapshots, and naming the
-- results of apply.

local retention = require "squarecloud.retention"

local support = {}

-- A day's snapshots by time: "2024-05-01T10:00:00Z" or "2024-05-01" (noon).
function support.snapshot(at, fields)
  local snapshot = { id = "a1",
    created_at = #at == 10 and at .. "T12:00:00Z" or at }
  for name, value in pairs(fields or {}) do
    snapshot[name] = value
  end
  return snapshot
end

function support.list(...)
  local list = {}
  for i, at in ipairs { ... } do
    list[i] = support.snapshot(at)
  end
  return list
end

-- `count` daily snapshots of one id up to a day of May 2024, oldest first.
function support.days(count, last)
  local list = {}
  for i = 1, count do
    list[i] = support.snapshot(
      ("2024-05-%02d"):format((last or 31) - count + i))
  end
  return list
end

-- The positions in `list` of the snapshots in `some`.
function support.positions(list, some)
  local position, found = {}, {}
  for i, snapshot in ipairs(list) do
    position[snapshot] = i
  end
  for i, snapshot in ipairs(some) do
    found[i] = position[snapshot]
  end
  return found
end

support.NOW = "2024-06-01T00:00:00Z"

-- Applies a policy with a fixed clock; gives positions instead of objects, and
-- the reasons of each kept one joined by "; ".
function support.apply(list, policy, opts)
  local options = { now = support.NOW }
  for name, value in pairs(opts or {}) do
    options[name] = value
  end
  local keep, remove, reasons = retention.apply(list, policy, options)
  if not keep then
    return nil, remove
  end
  for i, texts in ipairs(reasons) do
    reasons[i] = table.concat(texts, "; ")
  end
  return support.positions(list, keep), support.positions(list, remove),
    reasons
end

return support
