"""Addresses of halls: public pages, appointments, the clerk's desk, the manager, kiosks, parcels."""

from django.urls import path

from .views import booking, desk, kiosk, manage, parcels, public

app_name = "counters"
_MY, _W, _K = "my/appointments/", "workbench/counters/", "kiosk/"
_H = f"{_W}halls/<slug:code>/"
urlpatterns = [
    path("halls/", public.halls, name="halls"),
    path("halls/<slug:code>/", public.hall, name="hall"),
    path("halls/<slug:code>/queues/", public.queues, name="queues"),
    path("halls/<slug:code>/screen/", public.screen, name="screen"),
    path("halls/<slug:code>/screen/now/", public.screen_now, name="screen_now"),
    path("tickets/<str:code>/", public.ticket, name="ticket"),
    path("tickets/<str:code>/now/", public.ticket_now, name="ticket_now"),
    path(_MY, booking.own, name="appointments"),
    path(f"{_MY}new/", booking.choose_item, name="book"),
    path(f"{_MY}new/<slug:item>/", booking.choose_slot, name="book_item"),
    path(f"{_MY}<str:code>/", booking.detail, name="appointment"),
    path("my/parcels/<str:application>/", parcels.own, name="parcels"),
    path(_W, desk.home, name="desk"),
    path(f"{_W}seat/<int:number>/", desk.seat, name="seat"),
    path(f"{_W}seat/<int:number>/now/", desk.seat_now, name="seat_now"),
    path(f"{_W}tickets/<int:number>/accept/", desk.accept, name="accept"),
    path(f"{_W}door/<slug:code>/", desk.door, name="door"),
    path(f"{_W}book/", booking.for_others, name="book_for"),
    path(f"{_W}book/<slug:item>/", booking.for_other, name="book_for_item"),
    path(f"{_W}parcels/", parcels.posting, name="posting"),
    path(f"{_W}parcels/<int:number>/post/", parcels.post, name="post"),
    path(f"{_W}halls/", manage.home, name="manage"),
    path(_H, manage.hall, name="manage_hall"),
    path(f"{_H}closing/", manage.closing, name="closing"),
    path(f"{_H}queue/", manage.queue, name="manage_queue"),
    path(f"{_H}counter/", manage.counter, name="manage_counter"),
    path(f"{_H}devices/", manage.devices, name="devices"),
    path(f"{_H}figures/", manage.figures, name="figures"),
    path(_K, kiosk.home, name="kiosk"),
    path(f"{_K}register/", kiosk.register, name="kiosk_register"),
    path(f"{_K}end/", kiosk.end, name="kiosk_end"),
    path(f"{_K}ticket/", kiosk.ticket, name="kiosk_ticket"),
    path(f"{_K}check-in/", kiosk.check_in, name="kiosk_check_in"),
    path(f"{_K}back/", kiosk.back, name="kiosk_back"),
    path(f"{_K}items/", kiosk.items_page, name="kiosk_items"),
    path(f"{_K}items/<slug:code>/", kiosk.item, name="kiosk_item"),
    path(f"{_K}progress/", kiosk.progress, name="kiosk_progress"),
    path(f"{_K}verify/", kiosk.verify, name="kiosk_verify"),
]
