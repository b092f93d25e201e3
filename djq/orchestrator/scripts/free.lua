-- ARGV: holder, '1' if its process died (its keys are counted as lost), reason
return free_holder(ARGV[1], ARGV[2] == '1', ARGV[3])
