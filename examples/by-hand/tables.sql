-- The same tables as the shop, and the table of events that everybody writes.
create schema if not exists by_hand;

create table if not exists by_hand.stock (sku text primary key, on_hand int not null);
insert into by_hand.stock (sku, on_hand)
values ('tea', 10000), ('mug', 10000), ('kettle', 10000)
on conflict do nothing;

create table if not exists by_hand.sale (event text not null, sku text not null, payout text not null, receipt text not null);
create table if not exists by_hand.mail (event text not null, mail text not null);
create table if not exists by_hand.audit (source text not null, event text not null, topic text not null);

create table if not exists by_hand.event (
  id int generated always as identity primary key,
  event_id text not null,
  status text not null
);
create index if not exists event_by_id on by_hand.event (event_id);
