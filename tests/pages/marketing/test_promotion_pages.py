"""The pages of promotions: per role, empty, from the first draft to a code on an order, and why a code is refused."""

from crm_core.services.sales import orders, promotion_codes, promotions
from crm_core.vocabulary import CodeKind, PromotionState
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do, look
from ui.navigation import screen_of, screens_for


def test_everybody_reads_marketers_run_them_and_a_rep_uses_the_code(cast):
    writers = {"root", "bob", "dana"}
    for who, actor in cast.items():
        assert screen_of("promotions") in screens_for(actor)
        app = open_screen(actor, "promotions")
        assert not app.exception and not app.error and "No promotions yet" in words(app)
        assert any(button.key == "first_promotion" for button in app.button) is (who in writers)
    dana, alice = cast["dana"], cast["alice"]
    app = open_screen(dana, "promotions")
    app.button(key="new_promotion").click().run()
    asked = {"effect": "percent", "code_kind": "shared"}
    assert {box.key: box.value for box in app.selectbox if box.key in {f"new_promotion_{key}" for key in asked}} == {
        f"new_promotion_{key}": value for key, value in asked.items()
    }
    amounts = {"new_promotion_percent_off", "new_promotion_amount_off_minor"}
    assert [box.key for box in app.number_input if box.key in amounts] == ["new_promotion_percent_off"]
    made = do(promotions.create, dana, {"name": EVIL.strip()[:100], "code": "SPRING26", "description": EVIL})
    app = open_screen(dana, "promotion", id=made.id)
    assert "percent off not set yet" in words(app)
    app.button(key="start").click().run()
    assert not app.exception and "how many percent" in app.toast[0].value  # says what is missing, and stays a draft
    do(promotions.update, dana, made.id, {"percent_off": 10})
    app = open_screen(dana, "promotion", id=made.id)
    app.button(key="start").click().run()
    assert not app.exception and look(promotions.get, dana, made.id).state is PromotionState.RUNNING
    app.button(key="audience_edit").click().run()
    assert not app.exception and "And only those with" in words(app)
    order = do(orders.create, alice, {"status": "draft"})
    do(orders.set_lines, alice, order.id, [{"name": "Chai", "quantity": 2, "unit_price_minor": 10_00}])
    app = open_screen(alice, "order", id=order.id)
    app.text_input(key=f"code_{order.id}").input("SPRING27")
    next(button for button in app.button if button.label == "Use it").click().run()
    assert "There is no code “SPRING27”" in words(app) and not app.toast
    app.text_input(key=f"code_{order.id}").input("spring26")
    next(button for button in app.button if button.label == "Use it").click().run()
    assert not app.exception and "after $2 off by a code" in words(app) and "Sum $18" in words(app)
    for actor in cast.values():
        app = open_screen(actor, "promotion", id=made.id)
        assert not app.exception and not app.error and "Discount given" in words(app)
    assert not {"start", "pause", "edit", "delete"} & {button.key for button in open_screen(alice, "promotion", id=made.id).button}


def test_the_form_asks_only_for_what_is_taken_off(cast):
    dana = cast["dana"]
    made = do(promotions.create, dana, {"name": "Ten off", "effect": "amount", "amount_off_minor": 10_00})
    app = open_screen(dana, "promotion", id=made.id)
    app.button(key="edit").click().run()
    asked = " ".join(box.key for box in app.number_input)
    assert not app.exception and "amount_off_minor" in asked and "percent_off" not in asked


def test_single_codes_are_given_out_and_listed(cast):
    dana = cast["dana"]
    made = do(
        promotions.create,
        dana,
        {"name": "Flyers", "code_kind": CodeKind.SINGLE.value, "code": "FAIR", "percent_off": 5, "state": "running"},
    )
    app = open_screen(dana, "promotion", id=made.id)
    assert "No code is out yet" in words(app)
    app.button(key="codes_new").click().run()
    assert not app.exception and {"give_yes"} <= {button.key for button in app.button}
    do(promotion_codes.give_out, dana, made.id, 12, "Spring fair")
    app = open_screen(dana, "promotion", id=made.id)
    assert not app.exception and "0 of 12 codes used" in words(app) and "of 12 given out" in str(app.metric[0].delta)
