--- The pages that people read: README.md and what lies in doc/ and .github/,
-- with their fenced blocks, their links and their headings.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"

local documents = {}

local function add_pages(list, folder)
  for _, name in ipairs(helpers.names(folder)) do
    if name:find "%.md$" then list[#list + 1] = folder .. "/" .. name end
  end
end

--- The paths of all pages.
function documents.list()
  local list = { "README.md" }
  add_pages(list, "doc")
  add_pages(list, ".github")
  return list
end

--- The fenced blocks of a page, in order: { language, name (of a file, behind
-- the language), text, line (where it begins) }.
function documents.blocks(path)
  local blocks, open, number = {}, nil, 0
  for line in io.lines(path, "L") do
    number = number + 1
    local fence = line:match "^```(.*)\n"
    if not fence then
      if open then open.text = open.text .. line end
    elseif open then
      open = nil
    else
      open = { language = fence:match "^%S*", name = fence:match "^%S+ (%S+)$",
        text = "", line = number }
      blocks[#blocks + 1] = open
    end
  end
  assert(not open, path .. ": a block without an end")
  return blocks
end

--- The page's text without its blocks, on one line.
function documents.words(path)
  local text = helpers.read_file(path):gsub("\n```.-\n```", "\n")
  return (text:gsub("%s*\n[%s#%-]*", " "))
end

-- A heading's anchor, as the repository's host makes it.
local function anchor(heading)
  return (heading:lower():gsub("[^%w%-_ \128-\255]", ""):gsub(" ", "-"))
end

--- The anchors of a page: { [anchor] = true }.
function documents.anchors(path)
  local found = {}
  for heading in ("\n" .. helpers.read_file(path)):gmatch "\n#+ ([^\n]*)" do
    found[anchor(heading)] = true
  end
  return found
end

-- "doc/../README.md" -> "README.md"
local function simplify(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

--- The links of a page: { path (from the root; nil: another site), anchor,
-- text (as it stands there) }.
function documents.links(path)
  local links, folder = {}, path:match "^(.*/)" or ""
  for text in helpers.read_file(path):gmatch "%]%(([^)]*)%)" do
    local target, fragment = text:match "^([^#]*)#?(.*)$"
    local outside = target:find "^https://"
    links[#links + 1] = { text = text, anchor = fragment,
      path = not outside and (target == "" and path
        or simplify(folder .. target)) or nil }
  end
  return links
end

--- Whether there is such a file.
function documents.exists(path) return lfs.attributes(path) ~= nil end

return documents
