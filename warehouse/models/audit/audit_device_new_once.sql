-- Must be empty: devices that are new on more than one day. A query view.
-- Inputs: dwd_traffic_unique_visitor_detail.
CREATE VIEW audit_device_new_once AS
SELECT mid, count(*) AS days
FROM dwd_traffic_unique_visitor_detail
WHERE is_new = 1
GROUP BY mid
HAVING count(*) > 1
