-- The moves of the queue, each of them whole or not at all: `pending.py` calls them and says what for.
--
-- waiting  hash   session -> "priority turn": the sessions that have runs waiting
--          set    oppcloud:<session>:waiting:<queue>: the classes of these runs, each "memory image system omnetpp"
--          zset   oppcloud:<session>:waiting:<queue>:<class>: job ids, the one to be taken next first
-- taken    hash   job id -> "slot memory": what was taken and has not ended
-- idle     hash   slot -> "memory image system omnetpp": slots that found nothing and wait for their bell
-- turn     number that grows with each run that comes or is taken
-- held     oppcloud:held:<queue>:<job>: the worker that keeps room for a run which nobody had room for when its turn came
-- list     RQ's own list of jobs, in step with the above for RQ's tools
--
-- A session whose runs lie here has its name in front of their ids, up to the first "-"; a worker has its name in front
-- of those of its slots, up to the last one.

local WAITING, TAKEN, IDLE, TURN, LIST = unpack(KEYS)
local move, queue, lifetime = ARGV[1], ARGV[2], ARGV[3]

-- A score holds tenths of seconds, longest first, and a turn for those that are equal.
local TURNS = 2 ^ 24
local FRONT = 2 ^ 28
-- Seconds for which room is kept by a worker that is not heard of any more.
local HELD = '30'

local function session_of(job) return string.match(job, '^[^-]*') end
local function worker_of(slot) return string.match(slot, '^(.*)%-[^-]*$') or slot end
local function classes_of(session) return 'oppcloud:' .. session .. ':waiting:' .. queue end
local function held_by(job) return 'oppcloud:held:' .. queue .. ':' .. job end
local function bell_of(slot) return 'oppcloud:bell:' .. slot end

local function pairs_of(key)
  local flat, found = redis.call('HGETALL', key), {}
  for index = 1, #flat, 2 do found[#found + 1] = { flat[index], flat[index + 1] } end
  return found
end

-- Read "memory kind", a kind being "image system omnetpp".
local function parts(class)
  local memory, kind = string.match(class, '^(%d+) (.*)$')
  return tonumber(memory or '0'), kind or ''
end

-- Tell whether a worker of a kind is what is wanted: what is empty there may be anything.
local function is_of_kind(wanted, kind)
  if wanted == kind or not string.find(wanted, '%S') then return true end
  local words = {}
  for word in string.gmatch(kind .. ' ', '(%S*) ') do words[#words + 1] = word end
  local index = 0
  for word in string.gmatch(wanted .. ' ', '(%S*) ') do
    index = index + 1
    if word ~= '' and word ~= words[index] then return false end
  end
  return true
end

-- Return how many runs each session has under way, how much memory each worker has set aside, in all and for each run,
-- and each slot's job.
local function under_way()
  local running, used, job_of, sizes = {}, {}, {}, {}
  for _, entry in ipairs(pairs_of(TAKEN)) do
    local job, session = entry[1], session_of(entry[1])
    local slot, memory = string.match(entry[2], '^(%S+) (%d+)$')
    if slot then
      local worker = worker_of(slot)
      running[session] = (running[session] or 0) + 1
      used[worker] = (used[worker] or 0) + tonumber(memory)
      sizes[worker] = sizes[worker] or {}
      table.insert(sizes[worker], tonumber(memory))
      job_of[slot] = job
    end
  end
  return running, used, job_of, sizes
end

-- Tell whether a worker may take a run of `class`; one that does not know its memory may take any.
local function fits(class, total, kind, used)
  local memory, wanted = parts(class)
  return is_of_kind(wanted, kind) and (memory == 0 or total == 0 or (used or 0) + memory <= total)
end

-- Ring one idle slot for each of `classes`, as far as there are slots that fit: only those of `worker`, if it is given,
-- and `most` of them.
local function ring(classes, worker, most)
  local idle, hopeless = {}, {}
  for _, entry in ipairs(pairs_of(IDLE)) do
    local slot, total, kind = entry[1], parts(entry[2])
    if redis.call('EXISTS', 'oppcloud:slot:' .. slot) == 0 then
      redis.call('HDEL', IDLE, slot)
    elseif not worker or worker_of(slot) == worker then
      idle[#idle + 1] = { slot = slot, worker = worker_of(slot), total = total, kind = kind }
    end
  end
  if #idle == 0 then return end
  local _, used = under_way()
  for _, class in ipairs(classes) do
    if most == 0 then return end
    local chosen
    for index, slot in ipairs(hopeless[class] and {} or idle) do
      if fits(class, slot.total, slot.kind, used[slot.worker]) then
        chosen = table.remove(idle, index)
        break
      end
    end
    if chosen then
      most = most and most - 1
      used[chosen.worker] = (used[chosen.worker] or 0) + parts(class)
      redis.call('HDEL', IDLE, chosen.slot)
      redis.call('LPUSH', bell_of(chosen.slot), '1')
      redis.call('EXPIRE', bell_of(chosen.slot), lifetime)
    else
      hopeless[class] = true
    end
  end
end

-- Ring for what waits already.
local function ring_for_waiting(worker, most)
  local idle, classes = redis.call('HLEN', IDLE), {}
  if idle == 0 then return end
  for _, session in ipairs(redis.call('HKEYS', WAITING)) do
    for _, class in ipairs(redis.call('SMEMBERS', classes_of(session))) do
      local count = redis.call('ZCARD', classes_of(session) .. ':' .. class)
      for _ = 1, math.min(count, idle) do classes[#classes + 1] = class end
    end
  end
  ring(classes, worker, most)
end

-- Forget a class, or a session, that has no runs any more.
local function tidy(session, class)
  local classes = classes_of(session)
  if redis.call('EXISTS', classes .. ':' .. class) == 0 then redis.call('SREM', classes, class) end
  if redis.call('EXISTS', classes) == 0 then redis.call('HDEL', WAITING, session) end
end

local function release(job)
  local slot, memory = string.match(redis.call('HGET', TAKEN, job) or '', '^(%S+) (%d+)$')
  redis.call('HDEL', TAKEN, job)
  -- Other slots of the worker may have waited for the memory.
  if slot and memory ~= '0' then ring_for_waiting(worker_of(slot)) end
end

local moves = {}

-- offer: have runs wait, and wake slots for them. Per run: job id, class, tenths of seconds, "1" for the front, priority.
function moves.offer()
  local classes = {}
  for index = 4, #ARGV, 5 do
    local job, class, expected, front, priority = unpack(ARGV, index, index + 4)
    local session, turn = session_of(job), redis.call('INCR', TURN)
    local key = classes_of(session)
    local rank = front == '1' and FRONT or tonumber(expected)
    redis.call('ZADD', key .. ':' .. class, string.format('%.0f', turn % TURNS - rank * TURNS), job)
    redis.call('SADD', key, class)
    redis.call('EXPIRE', key .. ':' .. class, lifetime)
    redis.call('EXPIRE', key, lifetime)
    local known = redis.call('HGET', WAITING, session)
    if not known or string.match(known, '^%S+') ~= priority then
      redis.call('HSET', WAITING, session, priority .. ' ' .. turn)
    end
    classes[#classes + 1] = class
  end
  ring(classes)
end

-- Return the sessions that have runs waiting: first those of higher priority, then those with fewer runs under way,
-- then those whose last turn was longer ago.
local function by_turn(running)
  local sessions = {}
  for _, entry in ipairs(pairs_of(WAITING)) do
    local priority, turn = string.match(entry[2], '^(%S+) (%S+)$')
    sessions[#sessions + 1] = {
      name = entry[1], priority = tonumber(priority), turn = tonumber(turn), running = running[entry[1]] or 0,
    }
  end
  table.sort(sessions, function(one, other)
    if one.priority ~= other.priority then return one.priority > other.priority end
    if one.running ~= other.running then return one.running < other.running end
    return one.turn < other.turn
  end)
  return sessions
end

-- Tell whether `worker` is the one that keeps room for `job`. One is enough, and it asks every few seconds: a slot of it
-- is idle, as it keeps room.
local function holds(worker, job)
  local key = held_by(job)
  if not redis.call('SET', key, worker, 'NX', 'EX', HELD) and redis.call('GET', key) ~= worker then return false end
  redis.call('EXPIRE', key, HELD)
  return true
end

-- Return the first run of `session` that a slot may take, and its class. `at` tells of the slot's worker; where there is
-- no room for a run whose turn it is, at.kept becomes the memory that smaller ones have to leave for it.
local function first_of(session, at)
  local classes, heads = classes_of(session), {}
  for _, class in ipairs(redis.call('SMEMBERS', classes)) do
    -- What has no room even in an empty worker is for others.
    if fits(class, at.total, at.kind, 0) then
      local first = redis.call('ZRANGE', classes .. ':' .. class, 0, 0, 'WITHSCORES')
      if first[1] then
        heads[#heads + 1] = { job = first[1], score = tonumber(first[2]), class = class, memory = parts(class) }
      else
        tidy(session, class)
      end
    end
  end
  table.sort(heads, function(one, other) return one.score < other.score end)
  for _, head in ipairs(heads) do
    local smaller = 0
    for _, size in ipairs(at.sizes) do
      if at.kept and size < at.kept then smaller = smaller + size end
    end
    if not fits(head.class, at.total, at.kind, at.used) then
      if not at.kept and holds(at.worker, head.job) then at.kept = head.memory end
    elseif head.memory == 0 or not at.kept or head.memory >= at.kept or smaller + head.memory + at.kept <= at.total then
      return head.job, head.class
    end
  end
end

-- take: give a slot its next run; without one, note that it waits. Slot, memory and kind of its worker, and the job that
-- it is done with.
function moves.take()
  local slot, total, kind, done = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
  if done ~= '' then release(done) end
  redis.call('HDEL', IDLE, slot)
  redis.call('DEL', bell_of(slot))
  local running, used, job_of, sizes = under_way()
  -- A slot that asks has none under way: it was given this one, and never heard of it.
  if job_of[slot] then return job_of[slot] end
  local worker = worker_of(slot)
  local at = { worker = worker, total = total, kind = kind, used = used[worker] or 0, sizes = sizes[worker] or {} }
  for _, session in ipairs(by_turn(running)) do
    local job, class = first_of(session.name, at)
    if job then
      redis.call('HSET', WAITING, session.name, session.priority .. ' ' .. redis.call('INCR', TURN))
      redis.call('ZREM', classes_of(session.name) .. ':' .. class, job)
      tidy(session.name, class)
      redis.call('LREM', LIST, 1, job)
      local memory = parts(class)
      redis.call('HSET', TAKEN, job, slot .. ' ' .. string.format('%.0f', memory))
      local keeper = redis.call('GET', held_by(job))
      if keeper then
        -- What it has left is for others again.
        redis.call('DEL', held_by(job))
        ring_for_waiting(keeper)
      end
      return job
    end
    if redis.call('EXISTS', classes_of(session.name)) == 0 then redis.call('HDEL', WAITING, session.name) end
  end
  redis.call('HSET', IDLE, slot, ARGV[5] .. ' ' .. kind)
  return false
end

-- release: a run has ended, or goes back to those that wait.
function moves.release()
  release(ARGV[4])
end

-- leave: slots serve the queue no more; what they were woken for goes to others.
function moves.leave()
  for index = 4, #ARGV do
    redis.call('HDEL', IDLE, ARGV[index])
    if redis.call('DEL', bell_of(ARGV[index])) == 1 then ring_for_waiting(nil, 1) end
  end
end

-- withdraw: a session no longer wants what waits. The list is the caller's to clear: to do it here would take too long.
function moves.withdraw()
  local classes = classes_of(ARGV[4])
  for _, class in ipairs(redis.call('SMEMBERS', classes)) do redis.call('DEL', classes .. ':' .. class) end
  redis.call('DEL', classes)
  redis.call('HDEL', WAITING, ARGV[4])
end

-- jobs: all that a session has waiting.
function moves.jobs()
  local found = {}
  for _, class in ipairs(redis.call('SMEMBERS', classes_of(ARGV[4]))) do
    local members = redis.call('ZRANGE', classes_of(ARGV[4]) .. ':' .. class, 0, -1)
    for _, job in ipairs(members) do found[#found + 1] = job end
  end
  return found
end

-- unfinished: per memory that runs of a session need, how many wait and how many are taken.
function moves.unfinished()
  local session, waits, taken, sizes, found = ARGV[4], {}, {}, {}, {}
  for _, class in ipairs(redis.call('SMEMBERS', classes_of(session))) do
    local memory = parts(class)
    waits[memory] = (waits[memory] or 0) + redis.call('ZCARD', classes_of(session) .. ':' .. class)
    sizes[memory] = true
  end
  for _, entry in ipairs(pairs_of(TAKEN)) do
    local memory = tonumber(string.match(entry[2], '^%S+ (%d+)$'))
    if memory and session_of(entry[1]) == session then
      taken[memory] = (taken[memory] or 0) + 1
      sizes[memory] = true
    end
  end
  for memory in pairs(sizes) do
    found[#found + 1] = string.format('%.0f %d %d', memory, waits[memory] or 0, taken[memory] or 0)
  end
  return found
end

return moves[move]()
