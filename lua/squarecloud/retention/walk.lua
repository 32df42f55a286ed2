-- The one walk that decides what a policy keeps: groups, buckets, counters,
-- the oldest rule, reasons. Follows restic's ApplyPolicy; where it departs
-- from it on purpose, the comment says so.

local time = require "squarecloud.retention.time"
local policies = require "squarecloud.retention.policy"
local lists = require "squarecloud.retention.list"

local format = string.format
local SECOND = time.SECOND
local EACH, HOUR, DAY = policies.EACH, policies.HOUR, policies.DAY
local WEEK, MONTH, YEAR = policies.WEEK, policies.MONTH, policies.YEAR
local NEVER = math.mininteger

-- A verdict is an integer, 0 to remove: bit 2r - 2 when rule r keeps, bit
-- 2r - 1 when it does so by the oldest rule, and these two above all rules'.
-- Verdicts take the place of the times in job.us: the walk reads an element's
-- time for the last time when it judges it.
local FUTURE = 1 << 60
local NEWEST = 1 << 61

-- Tags and the keep function give reasons that no fixed set of bits can hold.
-- They are the path from `root` to a node of this tree: children under
-- node.next by text, the finished lists of reasons under node.lists by verdict.
local function new_node(reasons)
  return { reasons = reasons, next = {}, lists = {} }
end

local function descend(node, reason)
  local child = node.next[reason]
  if not child then
    child = new_node(table.move(node.reasons, 1, #node.reasons, 1, {}))
    child.reasons[#child.reasons + 1] = reason
    node.next[reason] = child
  end
  return child
end

-- The reasons of a node and a verdict, in their order; the same list for all
-- snapshots that share them.
local function reasons_for(node, verdict, rules)
  local found = node.lists[verdict]
  if found then
    return found
  end
  found = table.move(node.reasons, 1, #node.reasons, 1, {})
  for r, rule in ipairs(rules) do
    if verdict & 1 << 2 * r - 2 ~= 0 then
      found[#found + 1] = rule.reason
    elseif verdict & 1 << 2 * r - 1 ~= 0 then
      found[#found + 1] = "oldest " .. rule.reason
    end
  end
  if verdict & FUTURE ~= 0 then
    found[#found + 1] = "in the future"
  elseif verdict & NEWEST ~= 0 then
    found[#found + 1] = "newest snapshot"
  end
  node.lists[verdict] = found
  return found
end

local function is_later(us, ns, than_us, than_ns)
  return us > than_us or us == than_us and ns > than_ns
end

-- The tags of element i as a set, with how many there are; nil and a message
-- when they are no list of strings.
local function read_tags(job, i)
  local tags = job.list[i].tags
  if tags == nil then
    return {}, 0
  elseif type(tags) ~= "table" then
    return lists.complain(job.list, i, job.what,
      "tags must be a list of strings, got %s", time.show(tags))
  end
  local set = {}
  for k = 1, #tags do
    if type(tags[k]) ~= "string" then
      return lists.complain(job.list, i, job.what,
        "tags must be a list of strings, got %s in it", time.show(tags[k]))
    end
    set[tags[k]] = true
  end
  return set, #tags
end

-- restic's HasTags: all of them, and "" is met by a snapshot without any.
local function has_tags(wanted, set, count)
  for _, tag in ipairs(wanted) do
    if tag == "" and count == 0 then
      return true
    elseif not set[tag] then
      return false
    end
  end
  return true
end

-- Where the keep function and the tags lead for element i: a node, `root` when
-- they do not keep it; nil and a message when they cannot be read.
local function judge_extras(job, i)
  local node = job.root
  if job.keep then
    local answer = job.keep(job.list[i])
    if answer == true then
      answer = "keep function"
    end
    if type(answer) == "string" then
      node = descend(node, answer)
    elseif answer then
      return lists.complain(job.list, i, job.what,
        "keep must give true, false or a reason, got %s", time.show(answer))
    end
  end
  if #job.tags > 0 then
    local set, count = read_tags(job, i)
    if not set then
      return nil, count
    end
    for _, wanted in ipairs(job.tags) do
      if has_tags(wanted, set, count) then
        node = descend(node, wanted.reason)
      end
    end
  end
  return node
end

-- Fills `units` with the numbers of the buckets that the wall-clock second
-- falls into. Hour, day and ISO week (Monday starts it, so the ISO year comes
-- by itself) are plain counts since 1970: equal within one bucket only.
local function fill_units(units, wall)
  local hour = wall // 3600
  if hour == units[HOUR] then
    return
  end
  units[HOUR] = hour
  local day = hour // 24
  if day == units[DAY] then
    return
  end
  units[DAY] = day
  units[WEEK] = (day + 3) // 7
  local year, month = time.civil_from_days(day)
  units[MONTH] = year * 12 + month
  units[YEAR] = year
end

-- T of the group at order[lo..hi], which holds no snapshot to be passed over:
-- the newest that is not in the future, or what relative_to says. NEVER when
-- all are in the future (only with future = "count"; restic's zero time).
local function reference_time(job, order, lo, hi)
  if job.relative_us then
    return job.relative_us, job.relative_ns
  end
  local us, ns = job.us, job.ns
  for p = lo, hi do
    local i = order[p]
    local below = ns and ns[i] or 0
    if not is_later(us[i], below, job.now_us, job.now_ns) then
      return us[i], below
    end
  end
  return NEVER, 0
end

-- Sets the counters, last buckets and cutoffs that a group starts with.
local function start_group(job, order, lo, hi)
  local t_us, t_ns = reference_time(job, order, lo, hi)
  for r, rule in ipairs(job.rules) do
    job.left[r] = rule.left
    job.last[r] = NEVER
    job.cut_us[r], job.cut_ns[r] = NEVER, 0
    if rule.duration and t_us ~= NEVER then
      job.cut_us[r] = time.before(t_us, rule.duration, job.offset_at)
      job.cut_ns[r] = t_ns
    end
  end
end

-- The verdict of the rules on element i, at position p of its group's walk.
local function judge_rules(job, i, p, is_oldest)
  local t, units = job.us[i], job.units
  local left, last, unit_of = job.left, job.last, job.unit_of
  local cut_us = job.cut_us
  if job.has_buckets then
    local second = t // SECOND
    fill_units(units, second + (job.offset or job.offset_at(second)))
  end
  units[EACH] = p
  local verdict = 0
  for r = 1, #left do
    local n = left[r]
    if n ~= 0 and (t > cut_us[r] or t == cut_us[r] and job.ns
      and job.ns[i] > job.cut_ns[r]) then
      local bucket = units[unit_of[r]]
      local is_new = bucket ~= last[r]
      if is_new or is_oldest then
        verdict = verdict | 1 << (is_new and 2 * r - 2 or 2 * r - 1)
        last[r] = bucket
        if n > 0 then
          left[r] = n - 1
        end
      end
    end
  end
  return verdict
end

-- Unlike restic: snapshots in the future are kept beside the rules, so that a
-- clock gone wrong uses up no slot of the real ones. Gives the position of the
-- first that is none.
local function pass_future(job, order, lo, hi)
  local us, ns = job.us, job.ns
  while not job.count_future and lo <= hi do
    local i = order[lo]
    if not is_later(us[i], ns and ns[i] or 0, job.now_us, job.now_ns) then
      break
    end
    us[i] = FUTURE
    lo = lo + 1
  end
  return lo
end

-- Judges the snapshots at order[lo..hi]: one group, newest first. True, or
-- nil and a message.
local function judge_group(job, order, lo, hi)
  local us, root = job.us, job.root
  local first = pass_future(job, order, lo, hi)
  local is_empty = first == lo
  if first <= hi then
    start_group(job, order, first, hi)
  end
  for p = first, hi do
    local i = order[p]
    if job.has_extras then
      local node, why = judge_extras(job, i)
      if not node then
        return nil, why
      elseif node ~= root then
        job.nodes[i] = node
        is_empty = false
      end
    end
    local verdict = judge_rules(job, i, p, p == hi and job.keep_oldest)
    us[i] = verdict
    if verdict ~= 0 then
      is_empty = false
    end
  end
  if not is_empty or job.on_empty == "allow" then
    return true
  elseif job.on_empty == "keep_newest" then
    us[order[lo]] = NEWEST
    return true
  end
  local number = job.numbers and job.numbers[order[lo]] or 1
  local key = job.keys and " of " .. time.escape(tostring(job.keys[number]))
    or ""
  return nil, format("refusing to remove every snapshot%s (%d), "
    .. "set on_empty to allow it", key, hi - lo + 1)
end

-- The order by group: an array in which each group stands newest first, the
-- groups in the order of their newest snapshot; and the positions at which
-- they end.
local function split_groups(order, keys, numbers)
  local count_of, place_of, ends, filled = {}, {}, {}, 0
  local by_group = table.move(order, 1, #order, 1, {})
  for g = 1, #keys do
    count_of[g], place_of[g] = 0, 0
  end
  for i = 1, #numbers do
    count_of[numbers[i]] = count_of[numbers[i]] + 1
  end
  for p = 1, #order do
    local g = numbers[order[p]]
    if place_of[g] == 0 then
      place_of[g] = filled + 1
      filled = filled + count_of[g]
      ends[#ends + 1] = filled
    end
    by_group[place_of[g]] = order[p]
    place_of[g] = place_of[g] + 1
  end
  return by_group, ends
end

-- Reads the list into a job: what the walk needs of the elements, the rules
-- and the options, and the state the rules work in.
local function new_job(list, compiled, options, what)
  local us, ns = lists.times(list, what)
  if not us then
    return nil, ns
  end
  local keys, numbers
  local owner_of = lists.owners(list)
  if options.group_by then
    keys, numbers = lists.groups(list, options.group_by, what,
      options.group_by == "id" and owner_of)
    if not keys then
      return nil, numbers
    end
  end
  local ok, why = lists.check_versions(list, what, owner_of)
  if not ok then
    return nil, why
  end
  local job = {
    list = list, what = what, us = us, ns = ns, keys = keys,
    numbers = numbers, rules = compiled.rules, tags = compiled.tags,
    keep = compiled.keep, has_buckets = false,
    has_extras = compiled.keep ~= nil or #compiled.tags > 0,
    unit_of = {}, left = {}, last = {}, cut_us = {}, cut_ns = {}, units = {},
    root = new_node {}, nodes = {},
  }
  for name, value in pairs(options) do
    job[name] = value
  end
  for r, rule in ipairs(compiled.rules) do
    job.unit_of[r] = rule.unit
    job.has_buckets = job.has_buckets or rule.unit ~= EACH
  end
  return job
end

-- Deals the judged elements out into keep, remove and reasons. `order` becomes
-- remove: another array would cost as much again.
local function deal(job, order)
  local list, verdicts, nodes, root = job.list, job.us, job.nodes, job.root
  local keep, reasons, removed = {}, {}, 0
  local count = #order
  for p = 1, count do
    local i = order[p]
    local verdict, node = verdicts[i], nodes[i]
    if verdict == 0 and not node then
      removed = removed + 1
      order[removed] = list[i]
    else
      keep[#keep + 1] = list[i]
      reasons[#keep] = reasons_for(node or root, verdict, job.rules)
    end
  end
  for p = count, removed + 1, -1 do
    order[p] = nil
  end
  return keep, order, reasons
end

-- Applies a compiled policy. `options` holds now_us, now_ns, offset (a number,
-- or nil where the zone is a function), offset_at, group_by, relative_us and
-- relative_ns (nil for the newest), count_future, on_empty, keep_oldest;
-- `what` names the elements in messages. Gives keep, remove and reasons,
-- newest first over all groups, or nil and a message.
local function apply(list, compiled, options, what)
  local job, why = new_job(list, compiled, options, what)
  if not job then
    return nil, why
  end
  local order = lists.newest_first(list, job.us, job.ns)
  local by_group, ends = order, { #order }
  if job.numbers then
    by_group, ends = split_groups(order, job.keys, job.numbers)
  end
  local lo = 1
  for g = 1, #order > 0 and #ends or 0 do
    local ok
    ok, why = judge_group(job, by_group, lo, ends[g])
    if not ok then
      return nil, why
    end
    lo = ends[g] + 1
  end
  return deal(job, order)
end

return {
  apply = apply,
}
