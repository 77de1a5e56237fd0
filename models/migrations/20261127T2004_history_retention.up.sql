-- Histories are append-only for the service: it has no right to delete from them. What has been kept for long enough is removed by this
-- function alone, as the owner, of the tenant in whose scope it is called (row-level security is forced upon the owner too), and never
-- anything younger than ninety days, whatever it is asked: the traces of the present cannot be wiped by it.
CREATE FUNCTION remove_old_history(target text, before timestamptz, most integer) RETURNS integer
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
  IF before IS NULL OR before > now() - interval '90 days' THEN
    RAISE EXCEPTION 'history is kept for ninety days at least' USING ERRCODE = 'invalid_parameter_value';
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
REVOKE ALL ON FUNCTION remove_old_history(text, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_old_history(text, timestamptz, integer) TO autoshop_app;
