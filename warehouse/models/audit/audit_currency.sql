-- Must be empty: orders in another currency than the shop's whose rate is not
-- known, or that nothing converts because the setting several_currencies is
-- FALSE. A query view.
-- Inputs: dim_order_rate.
CREATE VIEW audit_currency AS
SELECT order_id, currency, day, rate, ${several_currencies} AS is_converted
FROM dim_order_rate
WHERE rate = 0 OR NOT ${several_currencies}
