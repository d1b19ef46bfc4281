-- Must be empty: days whose page views, devices or sessions are not those of
-- their windows or minutes. A query view.
-- Inputs: ads_live_day, ads_live_minute, dws_traffic_vc_ch_ar_is_new_page_view_window.
CREATE VIEW audit_traffic AS
SELECT d.day, d.pv, w.pv AS pv_of_windows, m.pv AS pv_of_minutes, d.uv, w.uv AS uv_of_windows,
  m.uv AS uv_of_minutes, d.sessions, w.sessions AS sessions_of_windows
FROM ads_live_day AS d
LEFT JOIN (
  SELECT cur_date AS day, sum(pv_ct) AS pv, sum(first_of_day_uv_ct) AS uv, sum(sv_ct) AS sessions
  FROM dws_traffic_vc_ch_ar_is_new_page_view_window GROUP BY cur_date
) AS w ON w.day = d.day
LEFT JOIN (
  SELECT day, sum(pv) AS pv, sum(uv_new_today) AS uv FROM ads_live_minute GROUP BY day
) AS m ON m.day = d.day
WHERE d.pv <> coalesce(w.pv, 0) OR d.pv <> coalesce(m.pv, 0)
  OR d.uv <> coalesce(w.uv, 0) OR d.uv <> coalesce(m.uv, 0)
  OR d.sessions <> coalesce(w.sessions, 0)
