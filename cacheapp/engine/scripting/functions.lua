-- What a library of functions sees while it is loaded: a `redis` of few names, and nothing else.
--
-- Loaded once into a sandbox for functions, with `protect` and the fields of the `redis` that the
-- functions will see when they are called. Returns `environment`, the globals while loading, and
-- `registered`, which is there only meanwhile: name, callback, description or false, and flags.

local protect, redis = ...

redis.breakpoint, redis.debug, redis.replicate_commands = nil, nil, nil

local loading = { environment = {} }

local FLAGS = {
    ["no-writes"] = true,
    ["allow-oom"] = true,
    ["allow-stale"] = true,
    ["no-cluster"] = true,
    ["allow-cross-slot-keys"] = true,
}

local function refuse(message)
    error({ err = "ERR " .. message }, 0)
end

local function text(value, argument)
    if type(value) ~= "string" and type(value) ~= "number" then
        refuse(argument .. " to redis.register_function must be a string")
    end
    return tostring(value)
end

local readers = {}

function readers.function_name(named, value)
    named.name = text(value, "function_name argument given")
end

function readers.description(named, value)
    named.description = text(value, "description argument given")
end

function readers.callback(named, value)
    if type(value) ~= "function" then
        refuse("callback argument given to redis.register_function must be a function")
    end
    named.callback = value
end

function readers.flags(named, value)
    if type(value) ~= "table" then
        refuse(
            "flags argument to redis.register_function must be a table representing function "
                .. "flags"
        )
    end
    local flags = {}
    for index, flag in ipairs(value) do
        if not FLAGS[flag] then
            refuse("unknown flag given")
        end
        flags[index] = flag
    end
    named.flags = table.concat(flags, ",")
end

local function by_name(arguments)
    if type(arguments) ~= "table" then
        refuse(
            "calling redis.register_function with a single argument is only applicable to Lua "
                .. "table (representing named arguments)."
        )
    end
    local named = {}
    for key, value in next, arguments do
        if type(key) ~= "string" and type(key) ~= "number" then
            refuse("named argument key given to redis.register_function is not a string")
        end
        local read = readers[string.lower(key)]
        if not read then
            refuse("unknown argument given to redis.register_function")
        end
        read(named, value)
    end
    if not named.name then
        refuse("redis.register_function must get a function name argument")
    elseif not named.callback then
        refuse("redis.register_function must get a callback argument")
    end
    return named
end

local function by_position(name, callback)
    name = text(name, "first argument")
    if type(callback) ~= "function" then
        refuse("second argument to redis.register_function must be a function")
    end
    return { name = name, callback = callback }
end

local function register_function(...)
    local count = select("#", ...)
    if count < 1 or count > 2 then
        refuse("wrong number of arguments to redis.register_function")
    end
    if not loading.registered then
        -- A library may have kept this function for when it is called.
        refuse("redis.register_function can only be called on FUNCTION LOAD command")
    end
    local made = count == 1 and by_name(...) or by_position(...)
    local registered = loading.registered
    if not string.find(made.name, "^[%w_]+$") then
        refuse(
            "Library names can only contain letters, numbers, or underscores(_) and must be at "
                .. "least one character long"
        )
    end
    for index = 1, #registered, 4 do
        if registered[index] == made.name then
            refuse("Function already exists in the library")
        end
    end
    local at = #registered
    registered[at + 1], registered[at + 2] = made.name, made.callback
    registered[at + 3], registered[at + 4] = made.description or false, made.flags or ""
end

local strict = {
    __index = function(_, name)
        name = tostring(name)
        error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
    end,
}

local api = { register_function = register_function, log = redis.log }
for _, name in ipairs({
    "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM",
}) do
    api[name] = redis[name]
end
loading.environment.redis = protect(setmetatable(api, strict))
setmetatable(loading.environment, strict)

return loading
