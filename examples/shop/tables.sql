-- What the shop keeps. Nothing here is unique on purpose: an effect that took place twice must show as two rows.
create schema if not exists shop;

create table if not exists shop.stock (sku text primary key, on_hand int not null);
insert into shop.stock (sku, on_hand)
values ('tea', 10000), ('mug', 10000), ('kettle', 10000)
on conflict do nothing;

create table if not exists shop.sale (event text not null, sku text not null, payout text not null, receipt text not null);
create table if not exists shop.mail (event text not null, mail text not null);
create table if not exists shop.audit (source text not null, event text not null, topic text not null);
