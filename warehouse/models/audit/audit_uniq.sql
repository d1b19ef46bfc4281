-- Must be empty: days whose devices by the states of their windows are not those
-- of the visitors counted one by one. A query view.
-- Inputs: dws_traffic_uniq_window, dwd_traffic_unique_visitor.
CREATE VIEW audit_uniq AS
SELECT v.day, v.uv, w.uv AS uv_of_states
FROM (SELECT day, count(*) AS uv FROM dwd_traffic_unique_visitor GROUP BY day) AS v
FULL JOIN (
  SELECT cur_date AS day, uniq_count(uniq_merge(uv_state)) AS uv
  FROM dws_traffic_uniq_window GROUP BY cur_date
) AS w ON w.day = v.day
WHERE v.uv IS DISTINCT FROM w.uv
