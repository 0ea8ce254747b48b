-- A window of an address (R30): look, or take a place. ARGV: prefix, what, address, limit, period (ms), extra, take.
-- Returns 0, or the milliseconds to wait.
local window, limit, period = key(ARGV[2], ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if ARGV[7] == '1' then
    return take(window, limit, period, tonumber(ARGV[6]), milliseconds())
end
return wait(window, limit, period, tonumber(ARGV[6]), milliseconds())
