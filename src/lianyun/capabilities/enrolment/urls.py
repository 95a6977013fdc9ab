"""Addresses of enrolment by points."""

from django.urls import path

from .views import officers, own, public

app_name = "enrolment"
_P, _MY, _W = "enrolment/", "my/enrolment/", "workbench/enrolment/"
urlpatterns = [
    path(_P, public.rounds_page, name="public"),
    path(f"{_P}<slug:code>/", public.plan, name="plan"),
    path(f"{_P}<slug:code>/list/", public.listed, name="listed"),
    path(f"{_P}<slug:code>/lots/", public.lots, name="lots"),
    path(f"{_P}<slug:code>/object/", public.object_to, name="object"),
    path(_MY, own.mine, name="mine"),
    path(f"{_MY}new/<slug:code>/", own.begin, name="begin"),
    path(f"{_MY}<slug:code>/", own.own, name="own"),
    path(f"{_MY}<slug:code>/go/", own.go_on, name="go_on"),
    path(f"{_MY}<slug:code>/consent/", own.consent, name="consent"),
    path(f"{_MY}<slug:code>/check/", own.check, name="check"),
    path(f"{_MY}<slug:code>/review/<slug:line>/", own.review, name="review"),
    path(f"{_MY}<slug:code>/wishes/", own.wishes, name="wishes"),
    path(f"{_MY}<slug:code>/place/", own.place, name="place"),
    path(_W, officers.rounds_page, name="rounds"),
    path(f"{_W}new/", officers.new, name="new"),
    path(f"{_W}reviews/", officers.reviews, name="reviews"),
    path(f"{_W}cases/<str:code>/", officers.case, name="case"),
    path(f"{_W}rounds/<slug:code>/", officers.round_page, name="round"),
    path(f"{_W}rounds/<slug:code>/edit/", officers.edit, name="edit"),
    path(f"{_W}rounds/<slug:code>/days/", officers.reschedule, name="days"),
    path(f"{_W}rounds/<slug:code>/entries/", officers.entries, name="entries"),
    path(f"{_W}rounds/<slug:code>/counter/", officers.counter, name="counter"),
    path(f"{_W}rounds/<slug:code>/allot/", officers.allot, name="allot"),
    path(f"{_W}rounds/<slug:code>/seats/", officers.seats, name="seats"),
    path(f"{_W}rounds/<slug:code>/move/", officers.move, name="move"),
]
