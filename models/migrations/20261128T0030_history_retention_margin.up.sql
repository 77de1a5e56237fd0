-- The service says until when by its own clock, in days of 24 hours; the function compares with the server's, in days of the calendar. At the
-- least that may be configured, 90 days, a clock that is ahead or a change of the clocks made it refuse. It guards a day less than that.
CREATE OR REPLACE FUNCTION remove_old_history(target text, before timestamptz, most integer) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  at_column text := CASE
    WHEN target IN ('audit_logs', 'customer_audits', 'vehicle_audits') THEN 'created_at'
    WHEN target = 'vehicle_audit_log' THEN 'performed_at'
    WHEN target = 'template_usage_events' THEN 'sent_at'
    WHEN target = 'inbound_messages' THEN 'received_at'
  END;
  removed integer;
BEGIN
  IF at_column IS NULL THEN
    RAISE EXCEPTION 'no history that may be removed: %', target USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF before IS NULL OR before > now() - interval '89 days' THEN
    RAISE EXCEPTION 'history is kept for eighty-nine days at least' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF current_tenant_id() IS NULL THEN
    RAISE EXCEPTION 'no tenant' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Rows that another run is removing are left to it.
  EXECUTE format(
    'DELETE FROM %1$I WHERE tenant_id = $1 AND ctid = ANY (ARRAY(
       SELECT ctid FROM %1$I WHERE tenant_id = $1 AND %2$I < $2 ORDER BY %2$I LIMIT $3 FOR UPDATE SKIP LOCKED))', target, at_column)
    USING current_tenant_id(), before, most;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
