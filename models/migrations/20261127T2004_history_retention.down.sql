DROP FUNCTION remove_old_history(text, timestamptz, integer);
