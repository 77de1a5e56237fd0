DROP TABLE statement_profiles;
DROP TABLE statement_counters;
