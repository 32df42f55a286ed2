-- Work shared out among tasks of a client. Owns nothing that outlives a call.

local crew = {}

-- Ends the tasks that still run, and looks at the rest, so that no failure
-- of theirs is told a second time.
local function dismiss(tasks)
  for _, task in ipairs(tasks) do
    if task.status == "running" then
      task:cancel()
    end
    if task.status == "failed" then
      pcall(task.wait, task)
    end
  end
end

-- Calls work(item, index) for each item of a list, with at most `limit` under
-- way at once, in tasks; with one, on the caller's own coroutine. What work
-- raises ends the others, and is raised. `stopped(item, index, err)` is called
-- for an item whose task was ended from outside (its client was closed), and
-- for those that were never begun because of it.
function crew.run(client, items, limit, work, stopped)
  local count = math.min(limit, #items)
  if count <= 1 then
    for index, item in ipairs(items) do
      work(item, index)
    end
    return
  end
  local begun, current, tasks = 0, {}, {}
  local _ <close> = setmetatable(tasks, { __close = dismiss })
  local function member(number)
    while begun < #items do
      begun = begun + 1
      current[number] = begun
      work(items[begun], begun)
      current[number] = nil
    end
    return true
  end
  for number = 1, count do
    tasks[number] = client:spawn(member, number)
  end
  local why
  for number, task in ipairs(tasks) do
    local done, err = task:wait()
    if not done then
      why = err
      if current[number] then
        stopped(items[current[number]], current[number], err)
      end
    end
  end
  for index = begun + 1, #items do
    stopped(items[index], index, why)
  end
end

return crew
