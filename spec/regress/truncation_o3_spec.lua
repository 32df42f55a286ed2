--- Built with gcc -O3 the times' formats drew a warning, which is an error
-- here: the compiler could not see that a month has two digits.

local host = require "spec.support.host"

describe("the formats of times", function()
  for _, level in ipairs { 2, 3 } do
    it("are compiled at -O" .. level .. " without a warning", function()
      host.must(("gcc -std=c11 -O%d -Wall -Wextra -Wformat-truncation=1 "
        .. "-Werror -fPIC -c -o /dev/null csrc/base/isotime.c"):format(level))
    end)
  end
end)
