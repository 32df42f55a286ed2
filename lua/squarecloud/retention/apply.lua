-- What a policy keeps: restic's ApplyPolicy, group by group; the walk over the
-- rules is in `judge`. A comment says where it differs from restic on purpose.

local time = require "squarecloud.retention.time"
local filters = require "squarecloud.retention.filters"

local format = string.format
local is_later = time.is_later

local NO_ID = {}

-- A function that tells whose an element of these lists is: its id; since an
-- application and a database may have the same, of a type other than the first
-- that comes with an id, that too. One without a type is the first's.
local function owners(...)
  local first = {}
  for _, list in ipairs { ... } do
    for _, element in ipairs(list) do
      local id, application_type = element.id, element.application_type
      if type(application_type) == "string" and id ~= nil and id == id then
        first[id] = first[id] or application_type
      end
    end
  end
  return function(element)
    local id, application_type = element.id, element.application_type
    if id == nil or id ~= id then
      return NO_ID
    elseif type(application_type) == "string"
      and application_type ~= first[id] then
      return application_type .. "\0" .. tostring(id)
    end
    return id
  end
end

local function read_version(element)
  local version = element.version_id
  if version ~= nil and type(version) ~= "string" then
    return nil, "version_id must be a string, got " .. time.show(version)
  end
  return version or false
end

-- Refuses a version_id that is no string, and an owner and version that come
-- twice; without a version none is the same as another. True, or nil and a
-- message.
local function check_versions(list, what, owner_of)
  local versions, why = filters.read_each(list, read_version, what)
  if not versions then
    return nil, why
  end
  local index_of = {}
  for i, version in ipairs(versions) do
    local owner = owner_of(list[i])
    local seen = index_of[owner] or {}
    index_of[owner] = seen
    local first = version and seen[version]
    if first then
      local word, a = filters.label(first, what)
      local _, b = filters.label(i, what)
      local id = list[first].id
      return nil, format("%ss #%d and #%d are the same (%sversion %s)", word, a,
        b, id ~= nil and "id " .. time.escape(tostring(id)) .. ", " or "",
        time.escape(version))
    end
    seen[version] = i
  end
  return true
end

local function contains(tags, wanted)
  for _, tag in ipairs(tags) do
    if tag == wanted then
      return true
    end
  end
  return false
end

-- restic's HasTags: all of them, and "" is met by a snapshot without any.
local function has_tags(tags, wanted)
  for _, tag in ipairs(wanted) do
    if tag == "" and #tags == 0 then
      return true
    elseif not contains(tags, tag) then
      return false
    end
  end
  return true
end

-- An element's tags; or nil and what is wrong with them.
local function read_tags(element)
  local tags = element.tags
  if tags == nil then
    return {}
  elseif type(tags) ~= "table" then
    return nil, "tags must be a list of strings, got " .. time.show(tags)
  end
  for k = 1, #tags do
    if type(tags[k]) ~= "string" then
      return nil, "tags must be a list of strings, got " .. time.show(tags[k])
        .. " in it"
    end
  end
  return tags
end

-- Adds the reasons that are not counted: the keep function's, then the tags'.
-- True; or nil and what is wrong with the element.
local function add_reasons(reasons, element, policy)
  if policy.keep then
    local answer = policy.keep(element)
    if answer == true then
      answer = "keep function"
    end
    if type(answer) == "string" then
      reasons[#reasons + 1] = answer
    elseif answer then
      return nil, "keep must give true, false or a reason, got "
        .. time.show(answer)
    end
  end
  if #policy.tags == 0 then
    return true
  end
  local tags, why = read_tags(element)
  if not tags then
    return nil, why
  end
  for _, wanted in ipairs(policy.tags) do
    if has_tags(tags, wanted) then
      reasons[#reasons + 1] = wanted.reason
    end
  end
  return true
end

-- T, from which durations count back: the group's newest that is not in the
-- future, unless relative_to says otherwise. nil when all of them are, which is
-- restic's zero time.
local function reference_time(group, settings)
  if settings.relative_to ~= "latest" then
    return settings.relative_to
  end
  for _, item in ipairs(group) do
    if not is_later(item, settings.now) then
      return item
    end
  end
end

-- The rules of a policy as a group starts with them: how many are `left` to
-- keep, the `cutoff` they must be later than, if any; no `last` bucket yet.
local function start_rules(policy, group, settings)
  local from, rules = reference_time(group, settings), {}
  for r, rule in ipairs(policy.rules) do
    rules[r] = { bucket = rule.bucket, reason = rule.reason,
      left = rule.left, cutoff = rule.within and from and { ns = from.ns,
        us = time.before(from.us, rule.within, settings.utc_offset) } }
  end
  return rules
end

-- Unlike restic: snapshots in the future are kept beside the rules, so that a
-- clock gone wrong uses up no slot of the real ones. Gives the position of the
-- group's first that is none.
local function pass_future(group, settings)
  local first = 1
  while settings.future == "keep" and group[first]
    and is_later(group[first], settings.now) do
    group[first].reasons = { "in the future" }
    first = first + 1
  end
  return first
end

-- Sets the `reasons` of those items of a group, newest first, that the policy
-- keeps. Each rule looks at every snapshot and counts on its own: while some
-- are left it keeps the first of each bucket, and the group's oldest. True; or
-- nil and a message when an element cannot be judged.
local function judge(group, policy, settings, list, what)
  local rules, reasons = start_rules(policy, group, settings), {}
  for position = pass_future(group, settings), #group do
    local item = group[position]
    local ok, why = add_reasons(reasons, item.element, policy)
    if not ok then
      return filters.complain(list, item.i, what, why)
    end
    local is_oldest = position == #group and settings.keep_oldest
    local second = item.us // time.SECOND
    local wall = policy.needs_wall and second + settings.utc_offset(second)
    for _, rule in ipairs(rules) do
      if rule.left > 0
        and (not rule.cutoff or is_later(item, rule.cutoff)) then
        local bucket = rule.bucket(wall, position)
        local is_new = bucket ~= rule.last
        if is_new or is_oldest then
          reasons[#reasons + 1] = is_new and rule.reason
            or "oldest " .. rule.reason
          rule.last, rule.left = bucket, rule.left - 1
        end
      end
    end
    if #reasons > 0 then
      item.reasons, reasons = reasons, {}
    end
  end
  return true
end

-- Unlike restic: what happens to a group that would lose everything is asked of
-- on_empty. True, or nil and a message.
local function check_kept(group, settings, key)
  for _, item in ipairs(group) do
    if item.reasons then
      return true
    end
  end
  if settings.on_empty == "keep_newest" then
    group[1].reasons = { "newest snapshot" }
  elseif settings.on_empty == "error" then
    local name = settings.group_by and " of " .. time.escape(tostring(key))
      or ""
    return nil, format("refusing to remove every snapshot%s (%d), "
      .. "set on_empty to allow it", name, #group)
  end
  return true
end

-- Applies a compiled policy. `what` names the elements in messages. Gives keep,
-- remove and reasons, newest first over all groups, or nil and a message.
local function apply(list, policy, settings, what)
  local items, keys, ok, why
  items, why = filters.read_items(list, what)
  if not items then
    return nil, why
  end
  keys, why = filters.read_keys(list, settings.group_by, what)
  if not keys then
    return nil, why
  end
  local owner_of = owners(list)
  ok, why = check_versions(list, what, owner_of)
  if not ok then
    return nil, why
  end
  table.sort(items, filters.newest_first)
  local groups = filters.split(items, function(item)
    return settings.group_by == "id" and owner_of(item.element)
      or keys[item.i]
  end)
  for _, group in ipairs(groups) do
    ok, why = judge(group, policy, settings, list, what)
    if ok then
      ok, why = check_kept(group, settings, keys[group[1].i])
    end
    if not ok then
      return nil, why
    end
  end
  local keep, remove, reasons = {}, {}, {}
  for _, item in ipairs(items) do
    if item.reasons then
      keep[#keep + 1], reasons[#reasons + 1] = item.element, item.reasons
    else
      remove[#remove + 1] = item.element
    end
  end
  return keep, remove, reasons
end

return {
  apply = apply,
  owners = owners,
  check_versions = check_versions,
}
