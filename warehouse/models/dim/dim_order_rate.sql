-- Grain: order in another currency than the shop's. Key: order_id.
-- Inputs: order_info, currency_rate.
--
-- rate: what one unit of the order's currency was worth in the shop's on the day
-- of the order; 0 while no rate is known for it (audit_currency names these
-- orders), so that it counts as nothing rather than as something wrong. currency:
-- of the order; day: of the order's creation, in the business time zone.
CREATE MATERIALIZED VIEW dim_order_rate AS
SELECT o.order_id, o.currency, o.day, coalesce(r.rate, 0) AS rate
FROM (
  SELECT id AS order_id, currency, CAST(create_time AT TIME ZONE '${time_zone}' AS DATE) AS day
  FROM order_info
  WHERE currency <> '${currency}'
) AS o
LEFT JOIN currency_rate AS r ON r.currency = o.currency AND r.day = o.day
