std = "lua54"
max_line_length = 80
cache = false
exclude_files = { "build", "lua/squarecloud/library" }
files["spec"] = { std = "lua54+busted" }
files["spec/support/nginx"] = { std = "ngx_lua" }
