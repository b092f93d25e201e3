-- ARGV: main. A main process ends in good order: whatever its holders still have goes back, uncounted.
return free_main(ARGV[1], false, 'worker left')
