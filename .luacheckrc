std = "lua54"
max_line_length = 80
files["spec/**/*_spec.lua"] = {std = "+busted"}
files["spec/support/*.lua"] = {std = "+busted"}
files["spec/run.lua"] = {globals = {"arg"}}
exclude_files = {"build", "build-*"}
