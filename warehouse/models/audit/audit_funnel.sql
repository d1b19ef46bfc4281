-- Must be empty: steps of the way to a payment that more devices took than the step
-- before them, or than saw the page at all. A query view.
-- Inputs: ads_funnel_day.
CREATE VIEW audit_funnel AS
SELECT f.day, f.step, f.page_id, f.open_uv, f.closed_uv, coalesce(b.closed_uv, 0) AS closed_uv_before
FROM ads_funnel_day AS f
LEFT JOIN ads_funnel_day AS b ON b.day = f.day AND b.step = f.step - 1
WHERE f.closed_uv > f.open_uv
  OR (f.step > 1 AND f.closed_uv > coalesce(b.closed_uv, 0))
